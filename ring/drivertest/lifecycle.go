//go:build linux

package drivertest

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

func isCancelled(ev *ring.Event) bool { return ev.Err == unix.ECANCELED && !ev.More }

func testClose(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, peer := h.connect()
	s := h.receive(fd, ring.MakeToken(1, 1))
	_, err := peer.Write([]byte("x"))
	h.must("write", err)
	h.until("data", func() bool { return len(s.data) == 1 })
	h.Cancel(fd, s.token, ring.OpReceive)
	h.until("cancel", func() bool { return s.cancelled })
	h.close(fd)
	h.must("Wait", h.Wait(0))
	n, err := peer.Read(make([]byte, 1))
	if n != 0 || err != io.EOF {
		t.Errorf("the peer reads %d, %v after Close, want EOF", n, err)
	}
	h.quiet("after Close")

	// The number is free for the next connection, which works as the first.
	next, peer := h.connect()
	s = h.receive(next, ring.MakeToken(1, 2))
	_, err = peer.Write([]byte("y"))
	h.must("write", err)
	h.until("data", func() bool { return len(s.data) == 1 })
}

// testDetach: the socket lives on as a net.Conn, deadlines and all.
func testDetach(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, peer := h.connect()
	s := h.receive(fd, ring.MakeToken(1, 1))
	_, err := peer.Write([]byte("x"))
	h.must("write", err)
	h.until("data", func() bool { return len(s.data) == 1 })
	h.Cancel(fd, s.token, ring.OpReceive)
	h.until("cancel", func() bool { return s.cancelled })
	h.must("Detach", h.Detach(fd))
	h.disown(fd)
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	h.must("F_GETFL", err)
	if flags&unix.O_NONBLOCK == 0 {
		t.Errorf("a detached socket is in blocking mode")
	}
	file := os.NewFile(uintptr(fd), "detached")
	conn, err := net.FileConn(file)
	h.must("FileConn", err)
	file.Close()
	defer conn.Close()

	h.must("deadline", conn.SetReadDeadline(time.Now().Add(time.Millisecond)))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read with deadline: %v, want a timeout", err)
	}
	h.must("deadline", conn.SetReadDeadline(time.Now().Add(patience)))
	for _, ends := range [][2]net.Conn{{conn, peer}, {peer, conn}} {
		_, err := ends[0].Write([]byte("ping"))
		h.must("write", err)
		got := make([]byte, 4)
		_, err = io.ReadFull(ends[1], got)
		h.must("read", err)
		if string(got) != "ping" {
			t.Errorf("got %q", got)
		}
	}
	h.quiet("after Detach")
}

// testDestroyInTheMiddle: with everything in flight, Destroy gives all files
// back, and sockets that nobody took are closed.
func testDestroyInTheMiddle(t *testing.T, open Open) {
	// Go's own poller keeps files of its own from its first use on.
	warm, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	warm.Close()
	before := openFiles(t)

	h := start(t, open, ring.Config{Buffers: 4, BufferSize: 64})
	p := offHeap(t, 16<<20)
	var ours []int
	var peers []net.Conn
	for i := range 12 {
		fd, peer := h.connect()
		ours, peers = append(ours, fd), append(peers, peer)
		s := h.receive(fd, ring.MakeToken(uint32(i), 1))
		s.hold = true
		switch i % 3 {
		case 1: // data that is received, or is not, and not taken
			_, err := peer.Write(make([]byte, 1000))
			h.must("write", err)
		case 2: // a send that cannot come to its end
			h.Send(fd, s.token, p)
		}
	}
	h.must("Wait", h.Wait(time.Millisecond))
	for range 5 { // connections of which Next will never tell
		conn, err := net.Dial("tcp", h.address)
		h.must("dial", err)
		peers = append(peers, conn)
	}
	h.must("Wait", h.Wait(time.Second))
	h.Receive(ours[0], ring.MakeToken(99, 1)) // still queued: not even submitted
	h.destroy()

	// The listening socket takes what it had not given up with it. With ours
	// closed too, every peer must see its connection end: a reference that the
	// driver had kept would hold it open.
	for _, fd := range append(ours, h.listener) {
		h.disown(fd)
		h.must("close", unix.Close(fd))
	}
	for i, peer := range peers {
		h.must("deadline", peer.SetDeadline(time.Now().Add(patience)))
		_, err := io.Copy(io.Discard, peer)
		if err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("peer %d: %v, want the connection's end", i, err)
		}
		peer.Close()
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d files open, %d before", after, before)
	}
}
