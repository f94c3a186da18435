//go:build linux

package drivertest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// testEcho: 200 connections at once, each its own conversation.
func testEcho(t *testing.T, open Open) {
	const connections, rounds, most = 200, 25, 9000
	h := start(t, open, ring.Config{Buffers: 128, BufferSize: 1024})
	memory := offHeap(t, connections*most)
	echoes := make([]*echo, connections)
	failed := make(chan error, connections)
	for i := range echoes {
		fd, peer := h.connect()
		echoes[i] = newEcho(h, fd, ring.MakeToken(uint32(i), uint32(i)), memory[i*most:][:most])
		go func() { failed <- converse(peer, i, rounds, most) }()
	}
	h.untilEOF(echoes)
	for range echoes {
		h.must("client", <-failed)
	}
	if stats := h.Stats(); stats.BuffersInUse != 0 {
		t.Errorf("%d buffers in use at the end", stats.BuffersInUse)
	}
}

// converse is a client: it writes and reads the same back, rounds times.
func converse(peer *net.TCPConn, seed, rounds, most int) error {
	for r := range rounds {
		want := pattern(make([]byte, 1+(seed*131+r*977)%most), seed+r)
		if _, err := peer.Write(want); err != nil {
			return err
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(peer, got); err != nil {
			return fmt.Errorf("client %d, round %d: %w", seed, r, err)
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("client %d, round %d: the echo is not what was sent", seed, r)
		}
	}
	return peer.CloseWrite()
}

// echo sends back what it receives, one send at a time.
type echo struct {
	*stream
	out     []byte // off heap
	pending int    // bytes at the start of out still to be sent
	sending bool
}

func newEcho(h *harness, fd int, t ring.Token, memory []byte) *echo {
	e := &echo{out: memory}
	h.on(t, ring.OpSend, e.sent)
	e.stream = h.receive(fd, t)
	h.on(t, ring.OpReceive, func(ev *ring.Event) {
		e.handle(ev)
		e.flush()
	})
	return e
}

func (e *echo) flush() {
	if e.sending {
		return
	}
	if e.pending == 0 {
		e.pending = copy(e.out, e.data)
		e.data = append(e.data[:0], e.data[e.pending:]...)
	}
	if e.pending > 0 {
		e.sending = true
		e.h.Send(e.fd, e.token, e.out[:e.pending])
	}
}

func (e *echo) sent(ev *ring.Event) {
	if !e.sending || ev.Err != 0 || ev.N <= 0 || ev.N > e.pending || ev.More {
		e.h.t.Fatalf("send of %d bytes: %s", e.pending, show(ev))
	}
	e.sending = false
	e.pending = copy(e.out, e.out[ev.N:e.pending])
	e.flush()
}

// untilEOF runs the echoes until every client has ended.
func (h *harness) untilEOF(echoes []*echo) {
	h.t.Helper()
	h.until("every client's end", func() bool {
		eof := true
		for _, e := range echoes {
			if e.starved && h.Stats().BuffersInUse < h.Stats().Buffers {
				e.arm()
			}
			if e.err != 0 {
				h.t.Fatalf("receive: %v", e.err)
			}
			eof = eof && e.eof && !e.sending
		}
		return eof
	})
}

// testSmallQueues: hundreds of operations through queues of a few entries.
// Nothing is dropped when they are full.
func testSmallQueues(t *testing.T, open Open) {
	const connections = 300
	h := start(t, open, ring.Config{Entries: 8, CQEntries: 16, Buffers: 32, BufferSize: 256})
	memory := offHeap(t, connections*256)
	var peers []*net.TCPConn
	var fds []int
	for range connections {
		fd, peer := h.connect()
		fds, peers = append(fds, fd), append(peers, peer)
	}
	// All data is there before the first receive, all receives before the
	// first Wait.
	for i, peer := range peers {
		_, err := peer.Write(pattern(make([]byte, 200), i))
		h.must("write", err)
	}
	echoes := make([]*echo, connections)
	for i, fd := range fds {
		echoes[i] = newEcho(h, fd, ring.MakeToken(uint32(i), 1), memory[i*256:][:256])
	}
	for i, peer := range peers {
		i, peer := i, peer
		go func() {
			got := make([]byte, 200)
			_, err := io.ReadFull(peer, got)
			if err != nil || !bytes.Equal(got, pattern(make([]byte, 200), i)) {
				t.Errorf("connection %d: %v, or not what was sent", i, err)
			}
			peer.CloseWrite()
		}()
	}
	h.untilEOF(echoes)

	// Hundreds of receives that nothing ends but their cancels.
	streams := make([]*stream, connections)
	for i := range streams {
		fd, _ := h.connect()
		streams[i] = h.receive(fd, ring.MakeToken(uint32(i), 2))
	}
	for range 3 {
		h.must("Wait", h.Wait(0))
		for _, s := range streams {
			h.Cancel(s.fd, s.token, ring.OpReceive)
		}
		h.until("every cancel", func() bool {
			for _, s := range streams {
				if !s.cancelled {
					return false
				}
			}
			return true
		})
		for _, s := range streams {
			s.arm()
		}
	}
}

// testNoAllocations: a round of receive and send allocates nothing.
func testNoAllocations(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, conn := h.connect()
	file, err := conn.File() // a plain descriptor: reads and writes of its own, without Go's poller
	h.must("File", err)
	defer file.Close()
	peer := int(file.Fd())
	h.must("SetNonblock", unix.SetNonblock(peer, false))
	limit := unix.NsecToTimeval(int64(patience))
	h.must("SO_RCVTIMEO", unix.SetsockoptTimeval(peer, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit))

	token := ring.MakeToken(1, 1)
	out := offHeap(t, 4096)
	in := make([]byte, 4096)
	request := pattern(make([]byte, 100), 0)
	h.Receive(fd, token)
	var failure string
	round := func() {
		if _, err := unix.Write(peer, request); err != nil {
			failure = err.Error()
			return
		}
		received, sent := 0, false
		for !sent {
			for h.Next(&h.event) {
				ev := &h.event
				switch {
				case ev.Err != 0 && ev.Err != unix.EAGAIN:
					failure = show(ev)
					return
				case ev.Op == ring.OpSend:
					sent = true
				case ev.Op == ring.OpReceive:
					received += copy(out[received:], ev.Data)
					if ev.Buffer != ring.NoBuffer {
						h.Release(ev.Buffer)
					}
					if !ev.More {
						h.Receive(fd, token)
					}
					if received == len(request) {
						h.Send(fd, token, out[:received])
					}
				}
			}
			if sent {
				break
			}
			if err := h.Wait(patience); err != nil {
				failure = err.Error()
				return
			}
		}
		if n, err := unix.Read(peer, in); err != nil || !bytes.Equal(in[:n], request) {
			failure = fmt.Sprintf("the peer read %d bytes, %v", n, err)
		}
	}
	for range 100 { // lists and buffers find their size
		round()
	}
	allocations := testing.AllocsPerRun(1000, round)
	if failure != "" {
		t.Fatal(failure)
	}
	if allocations != 0 {
		t.Errorf("%v allocations per round, want none", allocations)
	}
}
