//go:build linux

package drivertest

import (
	"net"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// dialled is a connect and what became of it.
type dialled struct {
	fd    int
	addr  []byte // off the heap
	token ring.Token
	ended bool
	last  ring.Event
}

// dial starts a connect to addr with a new socket, which the test owns.
func (h *harness) dial(t ring.Token, domain int, addr []byte) *dialled {
	h.t.Helper()
	fd, err := h.Socket(domain)
	h.must("Socket", err)
	h.owned = append(h.owned, fd)
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	h.must("F_GETFD", err)
	if flags&unix.FD_CLOEXEC == 0 {
		h.t.Errorf("the socket is not close-on-exec")
	}
	d := &dialled{fd: fd, addr: addr, token: t}
	h.on(t, ring.OpConnect, func(ev *ring.Event) {
		if d.ended || ev.More || ev.N != 0 {
			h.t.Fatalf("connect: %s", show(ev))
		}
		d.ended, d.last = true, *ev
		clear(addr) // it is ours again
	})
	h.Connect(fd, t, addr)
	return d
}

// nameOf returns the address of the socket fd, off the heap.
func (h *harness) nameOf(fd int) []byte {
	h.t.Helper()
	p := offHeap(h.t, unix.SizeofSockaddrAny)
	n := uint32(len(p))
	_, _, errno := unix.Syscall(unix.SYS_GETSOCKNAME, uintptr(fd),
		uintptr(unsafe.Pointer(&p[0])), uintptr(unsafe.Pointer(&n)))
	if errno != 0 {
		h.t.Fatalf("getsockname: %v", errno)
	}
	return p[:n]
}

// listenOn makes a listening socket, which the test owns.
func (h *harness) listenOn(domain int, address unix.Sockaddr, backlog int) (fd int) {
	h.t.Helper()
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	h.must("socket", err)
	h.owned = append(h.owned, fd)
	h.must("bind", unix.Bind(fd, address))
	h.must("listen", unix.Listen(fd, backlog))
	return fd
}

// converse checks that the connected socket of d carries bytes both ways.
func (h *harness) converse(d *dialled, listener int) {
	h.t.Helper()
	h.until("connect", func() bool { return d.ended })
	if d.last.Err != 0 {
		h.t.Fatalf("connect: %v", d.last.Err)
	}
	peer, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	h.must("accept", err)
	h.owned = append(h.owned, peer)
	limit := unix.NsecToTimeval(int64(patience))
	h.must("SO_RCVTIMEO", unix.SetsockoptTimeval(peer, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit))

	s := h.receive(d.fd, d.token)
	h.quiet("connected")
	_, err = unix.Write(peer, []byte("ping"))
	h.must("write", err)
	h.until("data", func() bool { return string(s.data) == "ping" })
	sent := false
	h.on(d.token, ring.OpSend, func(ev *ring.Event) {
		if ev.Err != 0 || ev.N != 4 {
			h.t.Fatalf("send: %s", show(ev))
		}
		sent = true
	})
	out := offHeap(h.t, 4)
	copy(out, "pong")
	h.Send(d.fd, d.token, out)
	h.until("send", func() bool { return sent })
	in := make([]byte, 5)
	if n, err := unix.Read(peer, in); err != nil || string(in[:n]) != "pong" {
		h.t.Fatalf("the peer read %q, %v", in[:max(n, 0)], err)
	}
}

func testConnect(t *testing.T, open Open) {
	for name, at := range map[string]struct {
		domain  int
		address unix.Sockaddr
	}{
		"IPv4": {unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}},
		"IPv6": {unix.AF_INET6, &unix.SockaddrInet6{Addr: [16]byte{15: 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, open, ring.Config{})
			if ln, err := net.Listen("tcp6", "[::1]:0"); err != nil && at.domain == unix.AF_INET6 {
				t.Skip("no IPv6 here: ", err)
			} else if err == nil {
				ln.Close()
			}
			listener := h.listenOn(at.domain, at.address, 8)
			h.converse(h.dial(ring.MakeToken(1, 1), at.domain, h.nameOf(listener)), listener)
		})
	}
}

// testConnectUnix: by name and by abstract name. When the backlog is full, a
// connect waits for room, or fails with EAGAIN, or is cut short (as Linux 6.1
// does now and then), and may be tried again.
func testConnectUnix(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	path := filepath.Join(t.TempDir(), "s")
	for i, name := range []string{path, ""} {
		listener := h.listenOn(unix.AF_UNIX, &unix.SockaddrUnix{Name: name}, 8)
		h.converse(h.dial(ring.MakeToken(uint32(i), 1), unix.AF_UNIX, h.nameOf(listener)), listener)
	}

	listener := h.listenOn(unix.AF_UNIX, &unix.SockaddrUnix{}, 0) // has room for one
	token := ring.MakeToken(7, 1)
	first := h.dial(token, unix.AF_UNIX, h.nameOf(listener))
	h.until("connect", func() bool { return first.ended })
	if first.last.Err != 0 {
		t.Fatalf("connect: %s", show(&first.last))
	}
	second := h.dial(token, unix.AF_UNIX, h.nameOf(listener))
	h.must("Wait", h.Wait(0))
	if h.Next(&h.event) {
		h.dispatch()
	}
	again := func() bool {
		return second.last.Err == unix.EAGAIN || second.last.Err == unix.ECANCELED
	}
	if second.ended && !again() {
		t.Fatalf("with a full backlog: %s", show(&second.last))
	}
	peer, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
	h.must("accept", err)
	h.owned = append(h.owned, peer)
	h.until("the second", func() bool { return second.ended })
	if again() {
		second = h.dial(token, unix.AF_UNIX, h.nameOf(listener))
	}
	h.converse(second, listener)
}

func testConnectRefused(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	// Bound, but not listening: nobody else can have the port.
	for i, at := range []struct {
		domain  int
		address unix.Sockaddr
	}{
		{unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}},
		{unix.AF_UNIX, &unix.SockaddrUnix{}},
	} {
		fd, err := unix.Socket(at.domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		h.must("socket", err)
		h.owned = append(h.owned, fd)
		h.must("bind", unix.Bind(fd, at.address))
		d := h.dial(ring.MakeToken(uint32(i), 1), at.domain, h.nameOf(fd))
		h.until("the refusal", func() bool { return d.ended })
		if d.last.Err != unix.ECONNREFUSED {
			t.Errorf("connect to what does not listen: %s", show(&d.last))
		}
		h.close(d.fd)
	}

	// What goes wrong with a command is an event.
	bad := offHeap(t, 16)
	bad[0] = 99 // a family that there is not
	d := h.dial(ring.MakeToken(9, 1), unix.AF_INET, bad)
	h.until("the error", func() bool { return d.ended })
	if d.last.Err != unix.EAFNOSUPPORT {
		t.Errorf("connect to an unknown family: %s", show(&d.last))
	}
	h.quiet("after the errors")
}

// silent returns the address of a listening socket that answers no more: its
// backlog is full.
func (h *harness) silent() []byte {
	h.t.Helper()
	listener := h.listenOn(unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}, 0)
	for i := range 16 {
		d := h.dial(ring.MakeToken(uint32(1000+i), 1), unix.AF_INET, h.nameOf(listener))
		deadline := time.Now().Add(100 * time.Millisecond)
		for !d.ended && time.Now().Before(deadline) {
			if h.Next(&h.event) {
				h.dispatch()
			} else {
				h.must("Wait", h.Wait(time.Until(deadline)))
			}
		}
		if !d.ended {
			h.Cancel(d.fd, d.token, ring.OpConnect)
			h.until("cancel", func() bool { return d.ended })
			return h.nameOf(listener)
		}
	}
	h.t.Fatal("the backlog is never full")
	return nil
}

// testConnectCancel: a connect that gets no answer is ended by Cancel, with
// which callers make time limits; before it reached the kernel, and after.
func testConnectCancel(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	address := h.silent()
	for i, wait := range []bool{false, true} {
		d := h.dial(ring.MakeToken(uint32(i), 1), unix.AF_INET, append(offHeap(t, 64)[:0], address...))
		if wait {
			h.quiet("while connecting")
		}
		// By its own token and kind, not by the socket.
		h.Cancel(d.fd, d.token, ring.OpSend)
		h.Cancel(d.fd, ring.MakeToken(uint32(i), 2), ring.OpConnect)
		if wait {
			h.quiet("after cancelling others")
		}
		h.Cancel(d.fd, d.token, ring.OpConnect)
		h.until("cancel", func() bool { return d.ended })
		if d.last.Err != unix.ECANCELED {
			t.Errorf("cancelled connect: %s", show(&d.last))
		}
		h.close(d.fd)
	}
	h.quiet("after the cancels")
	h.dial(ring.MakeToken(8, 1), unix.AF_INET, append(offHeap(t, 64)[:0], address...)) // for Destroy to end
	h.must("Wait", h.Wait(0))
}

// testConnectMany: more at once than the queues have room for.
func testConnectMany(t *testing.T, open Open) {
	h := start(t, open, ring.Config{Entries: 8, CQEntries: 16})
	h.arm()
	const connections = 200
	all := make([]*dialled, connections)
	for i := range all {
		all[i] = h.dial(ring.MakeToken(uint32(i), 1), unix.AF_INET, h.nameOf(h.listener))
	}
	h.until("all", func() bool {
		for _, d := range all {
			if !d.ended {
				return false
			}
		}
		return len(h.accepted) == connections
	})
	for _, d := range all {
		if d.last.Err != 0 {
			t.Fatalf("connect: %s", show(&d.last))
		}
	}
}
