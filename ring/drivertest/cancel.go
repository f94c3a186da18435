//go:build linux

package drivertest

import (
	"bytes"
	"net"
	"testing"

	"github.com/ringcore/ringcore/ring"
)

func testCancelReceive(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, peer := h.connect()
	token := ring.MakeToken(1, 1)

	// Cancelled before it reached the kernel, and after.
	s := h.receive(fd, token)
	h.Cancel(fd, token, ring.OpReceive)
	h.until("cancel at once", func() bool { return s.cancelled })
	s.arm()
	h.quiet("while armed")
	h.Cancel(fd, token, ring.OpReceive)
	h.until("cancel of what is armed", func() bool { return s.cancelled })
	h.quiet("after the cancel")

	// What arrives meanwhile waits for the next receive.
	_, err := peer.Write([]byte("later"))
	h.must("write", err)
	h.quiet("with data while not armed")
	s.arm()
	h.until("data", func() bool { return string(s.data) == "later" })
}

// testCancelReceiveLosesNothing: cancelling again and again while the peer
// sends, every byte arrives in order.
func testCancelReceiveLosesNothing(t *testing.T, open Open) {
	h := start(t, open, ring.Config{BufferSize: 1024, Buffers: 64})
	fd, peer := h.connect()
	token := ring.MakeToken(1, 1)
	want := pattern(make([]byte, 2<<20), 0)
	failed := make(chan error, 1)
	go func() {
		for p := want; len(p) > 0; {
			n, err := peer.Write(p[:min(len(p), 1500)])
			if err != nil {
				failed <- err
				return
			}
			p = p[n:]
		}
		failed <- peer.CloseWrite()
	}()
	s := h.receive(fd, token)
	cancels := 0
	for !s.eof {
		before := len(s.data)
		h.until("data", func() bool { return len(s.data) > before || !s.armed })
		if s.armed {
			h.Cancel(fd, token, ring.OpReceive)
			cancels++
			h.until("the stream's end", func() bool { return !s.armed || s.eof })
		}
		if s.cancelled || s.starved {
			s.arm()
		}
	}
	h.must("peer", <-failed)
	if !bytes.Equal(s.data, want) {
		t.Errorf("received %d bytes which are not the %d sent (%d cancels)", len(s.data), len(want), cancels)
	}
	if cancels == 0 {
		t.Errorf("nothing was cancelled")
	}
}

func testCancelAccept(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	h.arm()
	h.connect()
	ended := false
	armed := h.handlers[key{listenerToken, ring.OpAccept}]
	h.on(listenerToken, ring.OpAccept, func(ev *ring.Event) {
		if !isCancelled(ev) {
			t.Fatalf("cancelled accept: %s", show(ev))
		}
		ended = true
	})
	h.Cancel(h.listener, listenerToken, ring.OpAccept)
	h.until("cancel", func() bool { return ended })

	// A connection made now waits for the next accept.
	conn, err := net.Dial("tcp", h.address)
	h.must("dial", err)
	defer conn.Close()
	h.quiet("after the cancel")
	h.on(listenerToken, ring.OpAccept, armed)
	h.Accept(h.listener, listenerToken)
	h.until("accept", func() bool { return len(h.accepted) == 1 })
}

// testCancelNothing: cancelling what has ended, or never was, is harmless.
func testCancelNothing(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, peer := h.connect()
	token := ring.MakeToken(1, 1)
	for _, op := range []ring.Op{ring.OpReceive, ring.OpSend, ring.OpAccept, ring.OpConnect} {
		h.Cancel(fd, token, op)
	}
	h.quiet("after cancelling nothing")
	s := h.receive(fd, token)
	h.must("half close", peer.CloseWrite())
	h.until("EOF", func() bool { return s.eof })
	h.Cancel(fd, token, ring.OpReceive)
	h.Cancel(fd, token, ring.OpReceive)
	h.quiet("after cancelling what has ended")

	// An operation is cancelled by its own token and kind, not by the socket.
	fd, peer = h.connect()
	s = h.receive(fd, ring.MakeToken(2, 2))
	h.Cancel(fd, ring.MakeToken(2, 1), ring.OpReceive)
	h.Cancel(fd, ring.MakeToken(2, 2), ring.OpSend)
	h.quiet("after cancelling others")
	_, err := peer.Write([]byte("x"))
	h.must("write", err)
	h.until("data", func() bool { return len(s.data) == 1 })
}
