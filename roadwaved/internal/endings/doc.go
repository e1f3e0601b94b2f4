// Package endings keeps on this machine how lives ended, until the catalog has
// it: a folder with one small JSON file per end. There are files in it only for
// the moment in which a live ends, and for as long as the catalog is away.
package endings
