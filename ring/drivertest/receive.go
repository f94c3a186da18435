//go:build linux

package drivertest

import (
	"bytes"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

func testReceiveDataThenEOF(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, peer := h.connect()
	s := h.receive(fd, ring.MakeToken(1, 1))
	for i, text := range []string{"hello", "world", "!"} {
		before := len(s.data)
		_, err := peer.Write([]byte(text))
		h.must("write", err)
		h.until("data", func() bool { return len(s.data) == before+len(text) })
		if got := string(s.data[before:]); got != text {
			t.Fatalf("piece %d: got %q, want %q", i, got, text)
		}
	}
	h.must("half close", peer.CloseWrite())
	h.until("EOF", func() bool { return s.eof })
	h.quiet("after EOF")
	stats := h.Stats()
	if stats.BuffersInUse != 0 {
		t.Errorf("%d buffers in use after all were released", stats.BuffersInUse)
	}
	if stats.Completed < 5 || stats.Enters == 0 || stats.Submitted == 0 || stats.Buffers == 0 {
		t.Errorf("stats do not count: %+v", stats)
	}
}

// testReceiveInOrder: a long stream through small buffers, in order.
func testReceiveInOrder(t *testing.T, open Open) {
	h := start(t, open, ring.Config{BufferSize: 512, Buffers: 16})
	fd, peer := h.connect()
	s := h.receive(fd, ring.MakeToken(1, 1))
	want := pattern(make([]byte, 1<<20), 0)
	failed := make(chan error, 1)
	go func() {
		_, err := peer.Write(want)
		if err == nil {
			err = peer.CloseWrite()
		}
		failed <- err
	}()
	h.until("EOF", func() bool {
		if s.starved {
			s.arm()
		}
		return s.eof
	})
	h.must("peer", <-failed)
	if !bytes.Equal(s.data, want) {
		t.Errorf("received %d bytes which are not the %d sent", len(s.data), len(want))
	}
}

func testReceiveReset(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, peer := h.connect()
	s := h.receive(fd, ring.MakeToken(1, 1))
	_, err := peer.Write([]byte("x"))
	h.must("write", err)
	h.until("data", func() bool { return len(s.data) == 1 })
	reset(h, peer)
	h.until("reset", func() bool { return !s.armed })
	if s.err != unix.ECONNRESET {
		t.Errorf("got err=%v eof=%v, want ECONNRESET", s.err, s.eof)
	}
	h.quiet("after the reset")
}

// reset makes the peer end the connection with a RST.
func reset(h *harness, peer *net.TCPConn) {
	h.t.Helper()
	h.must("linger", peer.SetLinger(0))
	h.must("close", peer.Close())
}

// testReceiveTokens: tokens come back whole, from the least to the greatest.
func testReceiveTokens(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, peer := h.connect()
	const most = 1<<24 - 1
	for _, c := range []struct{ slot, generation uint32 }{
		{0, 0}, {0, 1}, {1, 0}, {1<<32 - 1, most}, {1<<32 - 1, 0}, {0, most}, {0x80000001, 0x800001},
	} {
		token := ring.MakeToken(c.slot, c.generation)
		if token.Slot() != c.slot || token.Generation() != c.generation {
			t.Fatalf("MakeToken(%d, %d) holds %d and %d", c.slot, c.generation, token.Slot(), token.Generation())
		}
		s := h.receive(fd, token)
		_, err := peer.Write([]byte("x"))
		h.must("write", err)
		h.until("data", func() bool { return len(s.data) == 1 })
		h.Cancel(fd, token, ring.OpReceive)
		h.until("cancel", func() bool { return s.cancelled })
	}
}

// testBuffersRunOut: without buffers a receive ends with ENOBUFS; with the
// buffers back it goes on where it was.
func testBuffersRunOut(t *testing.T, open Open) {
	const size = 64
	h := start(t, open, ring.Config{Buffers: 2, BufferSize: size})
	fd, peer := h.connect()
	s := h.receive(fd, ring.MakeToken(1, 1))
	s.hold = true
	want := pattern(make([]byte, 20*size), 0)
	_, err := peer.Write(want)
	h.must("write", err)
	for len(s.data) < len(want) {
		h.until("ENOBUFS", func() bool { return s.starved || len(s.data) == len(want) })
		if s.starved {
			if len(s.held) != 2 {
				t.Fatalf("ENOBUFS with %d of 2 buffers held", len(s.held))
			}
			if stats := h.Stats(); stats.Buffers != 2 || stats.BuffersInUse != 2 {
				t.Fatalf("ENOBUFS with stats %+v", stats)
			}
			h.quiet("while out of buffers")
			s.releaseHeld()
			s.arm()
		}
	}
	if !bytes.Equal(s.data, want) {
		t.Errorf("received bytes are not those sent")
	}
	s.releaseHeld()
	if n := h.Stats().BuffersInUse; n != 0 {
		t.Errorf("%d buffers in use", n)
	}
}

// testBuffersGrow: ENOBUFS comes only when all buffers that the configuration
// allows are with the receiver.
func testBuffersGrow(t *testing.T, open Open) {
	const buffers, size = 256, 64
	h := start(t, open, ring.Config{Buffers: buffers, BufferSize: size})
	if n := h.Stats().Buffers; n > buffers {
		t.Errorf("starts with %d buffers, the limit is %d", n, buffers)
	}
	fd, peer := h.connect()
	s := h.receive(fd, ring.MakeToken(1, 1))
	s.hold = true
	want := pattern(make([]byte, 2*buffers*size), 0)
	_, err := peer.Write(want)
	h.must("write", err)
	for round := 0; len(s.data) < len(want); round++ {
		h.until("data or ENOBUFS", func() bool { return s.starved || len(s.data) == len(want) })
		if s.starved {
			if stats := h.Stats(); stats.Buffers != buffers || stats.BuffersInUse != buffers {
				t.Fatalf("ENOBUFS with stats %+v, want all %d in use", stats, buffers)
			}
			s.releaseHeld()
			s.arm()
		}
	}
	if !bytes.Equal(s.data, want) {
		t.Errorf("received bytes are not those sent")
	}
	s.releaseHeld()
}

// testBuffersShared: many streams on few buffers, each released at once. None
// may be left waiting for a buffer that has already come back.
func testBuffersShared(t *testing.T, open Open) {
	const size, connections, pieces = 64, 30, 10
	h := start(t, open, ring.Config{Buffers: 4, BufferSize: size})
	want := pattern(make([]byte, size*pieces), 0)
	var streams []*stream
	for i := range connections {
		fd, peer := h.connect()
		s := h.receive(fd, ring.MakeToken(uint32(i), 1))
		s.hold = true
		streams = append(streams, s)
		_, err := peer.Write(want)
		h.must("write", err)
	}
	h.until("all data", func() bool {
		whole, starved, held := true, 0, 0
		for _, s := range streams {
			whole = whole && len(s.data) == len(want)
			held += len(s.held)
			if s.starved {
				starved++
			}
		}
		// As a loop does: some buffers are kept over turns, and streams that
		// starved are armed when buffers are given back, not before.
		if starved > 0 && held > 0 || held == 3 {
			for _, s := range streams {
				s.releaseHeld()
			}
			for _, s := range streams {
				if s.starved {
					s.arm()
				}
			}
		}
		return whole
	})
	for i, s := range streams {
		if !bytes.Equal(s.data, want) {
			t.Errorf("stream %d: received bytes are not those sent", i)
		}
	}
}
