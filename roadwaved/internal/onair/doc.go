// Package onair is what the daemon does with a creator's packets while the
// live runs: it records them, packages them for listeners and serves the
// media of every live of this process under /live/{live_id}/.
package onair
