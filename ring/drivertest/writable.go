//go:build linux

package drivertest

import (
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// RunWritable runs the contract of ring.WriteWaiter, which the driver that open
// makes implements.
func RunWritable(t *testing.T, open func(t *testing.T, cfg ring.Config) ring.Driver) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, open Open)
	}{
		{"Writable", testWritable},
		{"WritableCancel", testWritableCancel},
		{"WritableReset", testWritableReset},
		{"WritableMany", testWritableMany},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

// awaited is a Writable in flight, or its end.
type awaited struct{ *ring.Event }

func (a *awaited) over() bool { return a.Event != nil }

func (h *harness) writable(fd int, t ring.Token) *awaited {
	a := &awaited{}
	h.on(t, ring.OpWritable, func(ev *ring.Event) {
		if a.over() || ev.More || ev.N != 0 {
			h.t.Fatalf("wait for room: %s", show(ev))
		}
		e := *ev
		a.Event = &e
	})
	h.Driver.(ring.WriteWaiter).Writable(fd, t)
	return a
}

// fill fills the socket's buffer, and returns how much that was.
func (h *harness) fill(fd int) (n int) {
	h.t.Helper()
	p := make([]byte, 64<<10)
	for {
		m, err := unix.SendmsgN(fd, p, nil, nil, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			return n
		}
		h.must("fill", err)
		n += m
	}
}

// untilFull waits in vain for room in a full socket: the first answers may come
// too early.
func (h *harness) untilFull(fd int, t ring.Token) (a *awaited, n int) {
	h.t.Helper()
	for range 10 {
		n += h.fill(fd)
		a = h.writable(fd, t)
		h.must("Wait", h.Wait(0))
		for h.Next(&h.event) {
			h.dispatch()
		}
		if !a.over() {
			return a, n
		}
	}
	h.t.Fatalf("there is room in a socket that is full")
	return nil, 0
}

func testWritable(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, peer := h.connect()
	token := ring.MakeToken(1, 1)
	a := h.writable(fd, token)
	h.until("room in an empty socket", a.over)
	if a.Err != 0 {
		t.Errorf("with room: %s", show(a.Event))
	}
	for range 3 {
		a, n := h.untilFull(fd, token) // for as long as the peer's side does not grow
		failed := make(chan error, 1)
		go func() {
			_, err := io.CopyN(io.Discard, peer, int64(n))
			failed <- err
		}()
		h.until("room after the peer has read", a.over)
		if a.Err != 0 {
			t.Errorf("after the peer has read: %s", show(a.Event))
		}
		h.must("peer", <-failed)
	}
}

func testWritableCancel(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, _ := h.connect()
	token := ring.MakeToken(1, 1)
	cancelled := 0
	for range 3 {
		a, _ := h.untilFull(fd, token)
		h.Cancel(fd, token, ring.OpWritable)
		h.until("the cancelled wait's end", a.over)
		switch a.Err {
		case unix.ECANCELED:
			cancelled++
		case 0: // there was room at that moment
		default:
			t.Errorf("cancelled: %s", show(a.Event))
		}
		h.Cancel(fd, token, ring.OpWritable)
		h.quiet("after the cancel")
	}
	if cancelled == 0 {
		t.Error("no wait was cancelled")
	}
}

// testWritableReset: a connection that has failed is told of, by the send that
// follows.
func testWritableReset(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, peer := h.connect()
	a, _ := h.untilFull(fd, ring.MakeToken(1, 1))
	reset(h, peer)
	h.until("the wait's end", a.over)
	if a.Err != 0 {
		t.Errorf("after the reset: %s", show(a.Event))
	}
}

// testWritableMany: many at once, each with a receive beside it.
func testWritableMany(t *testing.T, open Open) {
	h := start(t, open, ring.Config{Entries: 8, CQEntries: 16})
	const sockets = 50
	var waits []*awaited
	var streams []*stream
	for i := range sockets {
		fd, peer := h.connect()
		token := ring.MakeToken(uint32(i), 1)
		streams = append(streams, h.receive(fd, token))
		a, _ := h.untilFull(fd, token)
		waits = append(waits, a)
		_, err := peer.Write([]byte("x"))
		h.must("write", err)
		go func() { _, _ = io.Copy(io.Discard, peer) }()
	}
	h.until("room everywhere, and what was sent", func() bool {
		for i := range sockets {
			if !waits[i].over() || string(streams[i].data) != "x" {
				return false
			}
		}
		return true
	})
}
