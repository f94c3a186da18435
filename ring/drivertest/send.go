//go:build linux

package drivertest

import (
	"bytes"
	"io"
	"os"
	"os/signal"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

func testSendSmall(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, peer := h.connect()
	p := offHeap(t, 4096)
	for _, n := range []int{1, 13, 1024, 4096} {
		want := pattern(p[:n], n)
		if sends := h.sendAll(fd, ring.MakeToken(1, uint32(n)), want); sends != 1 {
			t.Errorf("%d bytes took %d sends with an empty socket buffer", n, sends)
		}
		got := make([]byte, n)
		_, err := io.ReadFull(peer, got)
		h.must("read", err)
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes: the peer read something else", n)
		}
	}
	h.quiet("after the sends")
}

// testSendLargeToSlowReader: 8 MiB do not fit into the socket's buffer. However
// many sends it takes, the bytes arrive once and in order.
func testSendLargeToSlowReader(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, peer := h.connect()
	const total = 8 << 20
	p := offHeap(t, total)
	pattern(p, 0)
	want := bytes.Clone(p)
	// Not less: a window far below loopback's MTU moves only when the sender's
	// 200 ms persist timer fires, for any program, on most kernels.
	h.must("read buffer", peer.SetReadBuffer(64<<10))
	type result struct {
		got []byte
		err error
	}
	finished := make(chan result, 1)
	go func() {
		r := result{got: make([]byte, total)}
		for n := 0; n < total && r.err == nil; {
			// Slow at first, so that the socket's buffer is full for a while.
			if n < 256<<10 {
				time.Sleep(time.Millisecond)
			}
			var m int
			m, r.err = peer.Read(r.got[n:min(total, n+64<<10)])
			n += m
		}
		finished <- r
	}()
	// In pieces, each sent to its end: several sends, some of them large.
	token := ring.MakeToken(1, 1)
	for rest, n := p, 1; len(rest) > 0; n *= 8 {
		piece := rest[:min(n, len(rest))]
		h.sendAll(fd, token, piece)
		rest = rest[len(piece):]
	}
	r := <-finished
	h.must("peer", r.err)
	if !bytes.Equal(r.got, want) {
		t.Errorf("the peer read something else")
	}
}

// testSendAfterHalfClose: the peer's end of sending is not the end of ours.
func testSendAfterHalfClose(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, peer := h.connect()
	s := h.receive(fd, ring.MakeToken(1, 1))
	h.must("half close", peer.CloseWrite())
	h.until("EOF", func() bool { return s.eof })
	p := pattern(offHeap(t, 100), 0)
	h.sendAll(fd, ring.MakeToken(1, 1), p)
	got := make([]byte, len(p))
	_, err := io.ReadFull(peer, got)
	h.must("read", err)
	if !bytes.Equal(got, p) {
		t.Errorf("the peer read something else")
	}
}

// testSendToReset: an error, exactly one event, and no SIGPIPE.
func testSendToReset(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, peer := h.connect()
	s := h.receive(fd, ring.MakeToken(1, 1))
	reset(h, peer)
	h.until("reset", func() bool { return !s.armed })
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, unix.SIGPIPE)
	defer signal.Stop(pipe)
	p := offHeap(t, 100)
	for generation := range uint32(3) {
		token := ring.MakeToken(1, generation)
		var got *ring.Event
		h.on(token, ring.OpSend, func(ev *ring.Event) {
			if got != nil {
				t.Fatalf("second event of a send: %s", show(ev))
			}
			e := *ev
			got = &e
		})
		h.Send(fd, token, p)
		h.until("send", func() bool { return got != nil })
		if !isReset(got.Err) || got.More {
			t.Errorf("send to a reset connection: %s", show(got))
		}
	}
	h.quiet("after the sends")
	select {
	case <-pipe:
		t.Errorf("a send raised SIGPIPE")
	default:
	}
}

// testCancelSend: a send that cannot go on ends when cancelled, with what was
// taken or with ECANCELED; the peer reads exactly what was reported.
func testCancelSend(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, peer := h.connect()
	p := offHeap(t, 16<<20)
	pattern(p, 0)
	token := ring.MakeToken(1, 1)
	sent, events, cancelled := 0, 0, false
	h.on(token, ring.OpSend, func(ev *ring.Event) {
		events++
		if ev.More || ev.Err != 0 && ev.Err != unix.ECANCELED || ev.Err != 0 && ev.N != 0 {
			t.Fatalf("cancelled send: %s", show(ev))
		}
		cancelled = ev.Err == unix.ECANCELED
		sent += ev.N
	})
	// A driver may answer with short sends; one that cannot go on must come.
	for round := 0; !cancelled && sent < len(p); round++ {
		if round == 1000 {
			t.Fatalf("no cancelled send in %d rounds, %d bytes sent", round, sent)
		}
		before := events
		h.Send(fd, token, p[sent:])
		h.must("Wait", h.Wait(0))
		h.Cancel(fd, token, ring.OpSend)
		h.until("send's end", func() bool { return events == before+1 })
	}
	h.quiet("after the cancelled send")
	if !cancelled {
		t.Fatalf("all %d bytes were sent to a peer that does not read", sent)
	}
	h.close(fd)
	got, err := io.ReadAll(peer)
	h.must("read", err)
	if !bytes.Equal(got, p[:sent]) {
		t.Errorf("%d bytes reported as sent, the peer read %d or others", sent, len(got))
	}
}
