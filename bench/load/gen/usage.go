//go:build linux

package gen

import (
	"bytes"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what was used up to a moment, in ns.
type usage struct {
	at      int64 // the moment
	unix    int64 // the same since 1970, in µs
	process int64 // processor time of the process
	thread  int64 // … of the calling thread
	waited  int64 // how long that thread was ready to run and had no CPU; -1: not known
}

// readUsage is to be called on the thread in question.
func readUsage(now int64) usage {
	return usage{
		at:      now,
		unix:    time.Now().UnixMicro(),
		process: clock(unix.CLOCK_PROCESS_CPUTIME_ID),
		thread:  clock(unix.CLOCK_THREAD_CPUTIME_ID),
		waited:  readWaited(),
	}
}

func clock(id int32) int64 {
	var t unix.Timespec
	if unix.ClockGettime(id, &t) != nil {
		return 0
	}
	return t.Nano()
}

// readWaited takes the second field of schedstat (proc(5)).
func readWaited() int64 {
	text, err := os.ReadFile("/proc/thread-self/schedstat")
	if f := bytes.Fields(text); err == nil && len(f) >= 2 {
		if n, err := strconv.ParseInt(string(f[1]), 10, 64); err == nil {
			return n
		}
	}
	return -1
}

// shares returns the shares of the time between two moments that the thread
// ran, and that it waited for a CPU (-1: not known).
func shares(a, b usage) (ran, waited float64) {
	t := float64(b.at - a.at)
	if t <= 0 {
		return 0, 0
	}
	waited = -1
	if a.waited >= 0 && b.waited >= 0 {
		waited = float64(b.waited-a.waited) / t
	}
	return float64(b.thread-a.thread) / t, waited
}
