//go:build linux

package httpcore

import (
	"os"
	"testing"
)

// Users of children.
const (
	nobody = 65534
	// newcomer is one who has nothing else running: RLIMIT_MEMLOCK holds for all
	// processes of a user, and the kernel takes what the rings of a process had
	// off the account only some time after its end.
	newcomer = -1
)

var lastUser = 1<<20 + os.Getpid()<<8 // the latest newcomer

// testMemoryLimit: rings, and the rings of provided buffers, of a user without
// CAP_IPC_LOCK count against RLIMIT_MEMLOCK on some kernels (6.18; not on 6.1).
// A loop's take 0.6 MiB. What does not fit is an error that says so, whether it
// is found out by the little ring that io_uring is tried with or by a loop's.
func testMemoryLimit(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	none := uint64(0)
	counts := world{Memory: &none, User: newcomer}.try(t, IOUring).Err != ""
	if !counts {
		t.Log("this kernel does not count rings")
	}
	for _, c := range []struct {
		name  string
		limit uint64
		loops int
		fits  bool
		says  string // the limit, as the error names it
	}{
		{"one page", 4 << 10, 1, false, "4 KiB"},
		{"for the probe", 64 << 10, 1, false, "64 KiB"},
		{"for one loop", 1 << 20, 1, true, ""},
		{"for one loop of two", 1 << 20, 2, false, "1024 KiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := world{Memory: &c.limit, User: newcomer, Loops: c.loops}
			if c.fits || !counts {
				w.wantRing(t)
			} else {
				w.wantError(t, "cannot allocate memory", "over RLIMIT_MEMLOCK, "+c.says, "raise it", "fewer loops")
			}
		})
	}
}
