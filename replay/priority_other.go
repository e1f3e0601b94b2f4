//go:build !unix || aix

package replay

// lower does nothing here: the process keeps its priority.
func lower(int, int) {}
