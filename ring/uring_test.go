//go:build linux

package ring_test

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
	"github.com/ringcore/ringcore/ring/drivertest"
)

// tiers are what the contract is tested on: each as far as this kernel has it.
var tiers = []ring.Tier{ring.Tier519, ring.Tier60, ring.Tier61}

// open opens a driver of exactly the tier, or skips the test where io_uring is
// not to be had.
func open(t testing.TB, tier ring.Tier, cfg ring.Config) *ring.Uring {
	t.Helper()
	cfg.MaxTier = tier
	u, err := ring.Open(cfg)
	var refused *ring.RefusedError
	if errors.As(err, &refused) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := u.Features().Tier; got != tier {
		u.Destroy()
		t.Skipf("tier %v works here, tier %v does not", got, tier)
	}
	return u
}

func TestDriver(t *testing.T) {
	for _, tier := range tiers {
		t.Run(tier.String(), func(t *testing.T) {
			open := func(t *testing.T, cfg ring.Config) ring.Driver { return open(t, tier, cfg) }
			drivertest.Run(t, open)
			drivertest.RunWritable(t, open)
		})
	}
	t.Run("movable", func(t *testing.T) {
		drivertest.Run(t, func(t *testing.T, cfg ring.Config) ring.Driver {
			cfg.Movable = true
			return open(t, ring.Tier61, cfg)
		})
	})
}

// TestBlockingMode: io_uring wants sockets which wait, so that an operation
// that cannot go on is kept and not failed with EAGAIN.
func TestBlockingMode(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	u := open(t, ring.Tier519, ring.Config{})
	defer u.Destroy()
	listener := socket(t, unix.SOCK_NONBLOCK)
	address := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	must(t, unix.Bind(listener, address))
	must(t, unix.Listen(listener, 1))
	u.Accept(listener, ring.MakeToken(1, 1))
	must(t, u.Wait(0)) // no connection yet
	bound, err := unix.Getsockname(listener)
	must(t, err)
	must(t, unix.Connect(socket(t, 0), bound))
	var ev ring.Event
	for deadline := time.Now().Add(10 * time.Second); !u.Next(&ev); {
		if time.Now().After(deadline) {
			t.Fatal("no connection")
		}
		if err := u.Wait(time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if ev.Err != 0 {
		t.Fatal(ev.Err)
	}
	defer u.Close(ev.N)
	for what, fd := range map[string]int{"listening": listener, "accepted": ev.N} {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if err != nil || flags&unix.O_NONBLOCK != 0 {
			t.Errorf("the %s socket is in non-blocking mode (%v)", what, err)
		}
	}
}

func socket(t *testing.T, flags int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
