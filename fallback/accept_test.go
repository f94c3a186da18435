//go:build linux

package fallback

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

func TestAcceptMany(t *testing.T) {
	d := open(t, ring.Config{})
	listener, address := listen(t)
	const connections = 300
	for range connections / 2 {
		defer unix.Close(dial(t, address))
	}
	d.Accept(listener, tokenA)
	take := func() {
		t.Helper()
		ev := d.next("accept")
		if ev.Token != tokenA || ev.Op != ring.OpAccept || !ev.More || ev.Err != 0 {
			t.Fatalf("got %+v", ev)
		}
		status, err := unix.FcntlInt(uintptr(ev.N), unix.F_GETFL, 0)
		must(t, "F_GETFL", err)
		flags, err := unix.FcntlInt(uintptr(ev.N), unix.F_GETFD, 0)
		must(t, "F_GETFD", err)
		if status&unix.O_NONBLOCK == 0 || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("accepted socket has status %#x, flags %#x", status, flags)
		}
		d.Close(ev.N)
	}
	for range connections / 2 {
		take()
	}
	for range connections / 2 {
		defer unix.Close(dial(t, address))
		take()
	}
	d.quiet("all accepted")

	d.Cancel(listener, tokenA, ring.OpAccept)
	d.want("cancel", ring.Event{Token: tokenA, Op: ring.OpAccept, Err: unix.ECANCELED})
	defer unix.Close(dial(t, address))
	d.quiet("not armed")
	d.Accept(listener, tokenA)
	take()
}

const exhaust = "RINGCORE_TEST_EXHAUST_FILES"

// TestAcceptOutOfFiles lowers the limit of open files in a process of its own.
func TestAcceptOutOfFiles(t *testing.T) {
	if os.Getenv(exhaust) == "" {
		self, err := os.Executable()
		must(t, "executable", err)
		cmd := exec.Command(self, "-test.run=^TestAcceptOutOfFiles$", "-test.v", "-test.timeout=60s")
		cmd.Env = append(os.Environ(), exhaust+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	d := open(t, ring.Config{})
	listener, address := listen(t)
	peers := []int{dial(t, address), dial(t, address)}
	top, err := unix.FcntlInt(uintptr(listener), unix.F_DUPFD_CLOEXEC, 0)
	must(t, "dup", err)
	must(t, "limit", unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(top) + 1, Max: uint64(top) + 1}))
	for { // holes below the limit
		if _, err := unix.FcntlInt(uintptr(listener), unix.F_DUPFD_CLOEXEC, 0); err != nil {
			break
		}
	}

	full := ring.Event{Token: tokenA, Op: ring.OpAccept, Err: unix.EMFILE}
	for range 3 {
		d.Accept(listener, tokenA)
		d.want("out of files", full)
	}
	enters := d.Stats().Enters
	d.wait(50 * time.Millisecond)
	if n := d.Stats().Enters - enters; n > 2 {
		t.Errorf("%d system calls while out of files: a busy loop", n)
	}
	for range peers {
		unix.Close(top) // one descriptor becomes free, and is used for one socket
		d.Accept(listener, tokenA)
		ev := d.next("recovered")
		if ev.Err != 0 || !ev.More {
			t.Fatalf("after EMFILE: %+v", ev)
		}
		// Linux takes the descriptor before it looks for a connection, so
		// this ends the stream with nobody waiting, too.
		d.want("out of files again", full)
		top = ev.N
	}
}
