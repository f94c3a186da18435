//go:build linux

package ring

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// testRing sets up a bare ring, without buffers, for this goroutine.
func testRing(t testing.TB, tier Tier, entries, cqEntries int, allowed ...uint8) *ioRing {
	t.Helper()
	needTier(t, tier)
	runtime.LockOSThread()
	r, err := newRing(Config{Entries: entries, CQEntries: cqEntries}, tier, nil, allowed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
		runtime.UnlockOSThread()
	})
	return r
}

// testDriver opens a driver for this goroutine.
func testDriver(t testing.TB, tier Tier, cfg Config) *Uring {
	t.Helper()
	needTier(t, tier)
	runtime.LockOSThread()
	cfg.MaxTier = tier
	u, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.Destroy(); err != nil {
			t.Error(err)
		}
		runtime.UnlockOSThread()
	})
	return u
}

// needTier skips what this kernel, or this container, cannot do.
func needTier(t testing.TB, tier Tier) {
	t.Helper()
	features, err := Probe(tier)
	var refused *RefusedError
	if errors.As(err, &refused) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if features.Tier != tier {
		t.Skipf("tier %v does not work here", tier)
	}
}

// tcpPair returns the two ends of a connection over loopback, both blocking.
func tcpPair(t testing.TB) (a, b int) {
	t.Helper()
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(listener)
	must(t, unix.Bind(listener, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(t, unix.Listen(listener, 1))
	address, err := unix.Getsockname(listener)
	must(t, err)
	b, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	must(t, unix.Connect(b, address))
	a, _, err = unix.Accept4(listener, unix.SOCK_CLOEXEC)
	must(t, err)
	t.Cleanup(func() { unix.Close(a); unix.Close(b) })
	return a, b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
