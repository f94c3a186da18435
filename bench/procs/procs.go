// Package procs sets GOMAXPROCS for the bench programs.
package procs

import (
	"os"
	"runtime"

	"github.com/ringcore/ringcore/httpcore"
)

// Set makes GOMAXPROCS n. When n is 0 it sees to it that Adaptive dispatch on so
// many loops (0: the default) has what it wants, unless the environment says how
// many there are to be: a processor for each loop and one for a handler that burns
// processor time. With fewer such a handler holds the loops up until Go's scheduler
// takes its processor away, which it does after 10 ms and more; with these the
// operating system decides, which is quicker, even if there is but one CPU. More
// would cost: at a garbage collection Go puts all that idle to work, and on one CPU
// they take it from the loop.
func Set(n, loops int, how httpcore.Dispatch) {
	if n == 0 {
		if how != httpcore.Adaptive || os.Getenv("GOMAXPROCS") != "" {
			return
		}
		n = max(loops, 1) + 1
		if n <= runtime.GOMAXPROCS(0) {
			return
		}
	}
	runtime.GOMAXPROCS(n)
}
