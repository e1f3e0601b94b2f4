// Package deploy holds what an operator needs around the daemon, as files to
// copy, and can start a private NGINX from those very files, for tests and for
// the demo.
package deploy

import "embed"

// Files are the shipped files, at the paths they have below this folder.
//
//go:embed nginx
var Files embed.FS
