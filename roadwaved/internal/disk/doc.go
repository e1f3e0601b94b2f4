// Package disk tells what room a disk has.
package disk
