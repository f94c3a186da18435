//go:build linux

package conn

import (
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// ticker is a handler that asks for turns.
type ticker struct {
	script
	loop  *Loop
	every time.Duration
	left  atomic.Int32
	due   int64
	done  chan struct{}
}

func (h *ticker) TurnEnd() bool {
	now, left := h.loop.Now(), h.left.Load()
	if left > 0 && now >= h.due {
		if h.due = now + int64(h.every); h.left.Add(-1) == 0 {
			close(h.done)
			return true
		}
	}
	if left > 0 {
		h.loop.WakeAt(h.due)
	}
	return true
}

// A loop without any connection turns when its handler asks for it.
func TestWakeAt(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		h := &ticker{every: time.Millisecond, done: make(chan struct{})}
		h.left.Store(20)
		began := time.Now()
		clientOnly(t, kind, Options{Handler: func(l *Loop) Handler { h.loop = l; return h }})
		wait(t, "20 turns", h.done)
		if d := time.Since(began); d < 19*h.every {
			t.Errorf("20 turns after %v, want at least %v", d, 19*h.every)
		}
	})
}

func TestConnectFrom(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		e := clientOnly(t, kind, Options{})
		ln := listen(t, "tcp4", "127.0.0.1:0")
		from := func(local *net.TCPAddr) error {
			h, result := &script{}, make(chan error, 1)
			h.opened = func(*Conn) { result <- nil }
			e.do(func(l *Loop) { l.ConnectFrom(local, ln.Addr(), h, func(err error) { result <- err }) })
			return wait(t, "the connect", result)
		}
		for _, ip := range []string{"127.0.0.1", "127.9.8.7"} {
			local := &net.TCPAddr{IP: net.ParseIP(ip)}
			if err := from(local); err != nil {
				t.Fatal(err)
			}
			got := accept(t, ln).RemoteAddr().(*net.TCPAddr).AddrPort()
			if got.Addr() != netip.MustParseAddr(ip) || got.Port() == 0 {
				t.Errorf("bound to %s it comes from %v", ip, got)
			}
		}
		for _, ip := range []string{"192.0.2.1", "::1"} { // not ours; of another family
			if err := from(&net.TCPAddr{IP: net.ParseIP(ip)}); err == nil || !strings.Contains(err.Error(), ip) {
				t.Errorf("bound to %s: %v", ip, err)
			}
		}
	})
}
