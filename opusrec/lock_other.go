//go:build !unix || solaris || aix

package opusrec

import "os"

// lock does nothing: the operator must not recover a file that is being
// recorded.
func lock(*os.File) error { return nil }

// syncDir does nothing: directories cannot be synced here.
func syncDir(string) error { return nil }
