// Package procs sets GOMAXPROCS for the bench programs.
package procs

import (
	"os"
	"runtime"

	"github.com/ringcore/ringcore/httpcore"
)

// Set makes GOMAXPROCS n. When n is 0 it sees to it that Adaptive dispatch on so
// many loops (0: the default) has what it wants, unless the environment says how
// many there are to be: a processor for each loop, one for a handler that burns
// processor time and one for who takes the loop over. With fewer a handler that
// burns holds the loops up until Go's scheduler takes its processor away, which
// it does after 10 ms; with these the operating system decides, which is quicker,
// even if there is but one CPU.
func Set(n, loops int, how httpcore.Dispatch) {
	if n == 0 {
		if how != httpcore.Adaptive || os.Getenv("GOMAXPROCS") != "" {
			return
		}
		n = max(loops, 1) + 2
		if n <= runtime.GOMAXPROCS(0) {
			return
		}
	}
	runtime.GOMAXPROCS(n)
}
