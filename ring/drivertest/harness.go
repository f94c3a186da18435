//go:build linux

package drivertest

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// patience bounds every wait for something that must happen.
const patience = time.Minute

// listenerToken belongs to the harness's listening socket; tests number their
// own tokens from other slots.
var listenerToken = ring.MakeToken(1<<31, 77)

// key names an operation in flight.
type key struct {
	token ring.Token
	op    ring.Op
}

// harness runs a driver for a test: it takes events and hands each to the
// handler of its operation. An event without a handler is a failure.
type harness struct {
	ring.Driver
	t        *testing.T
	handlers map[key]func(*ring.Event)
	event    ring.Event

	listener int
	address  string
	accepted []int // taken by connect
	owned    []int // sockets that the test has to close in the end

	destroyed bool
}

// start opens a driver on this goroutine, locked to its thread, and destroys
// it when the test ends.
func start(t *testing.T, open Open, cfg ring.Config) *harness {
	t.Helper()
	runtime.LockOSThread()
	h := &harness{
		Driver:   open(t, cfg),
		t:        t,
		handlers: map[key]func(*ring.Event){},
		listener: -1,
	}
	t.Cleanup(func() {
		h.destroy()
		for _, fd := range h.owned {
			unix.Close(fd)
		}
		runtime.UnlockOSThread()
	})
	return h
}

func (h *harness) destroy() {
	h.t.Helper()
	if h.destroyed {
		return
	}
	h.destroyed = true
	if err := h.Destroy(); err != nil {
		h.t.Errorf("Destroy: %v", err)
	}
}

// on sets the handler for events of t's operation op.
func (h *harness) on(t ring.Token, op ring.Op, f func(*ring.Event)) {
	h.handlers[key{t, op}] = f
}

// until takes events until done.
func (h *harness) until(what string, done func() bool) {
	h.t.Helper()
	deadline := time.Now().Add(patience)
	for !done() {
		if h.Next(&h.event) {
			h.dispatch()
			continue
		}
		left := time.Until(deadline)
		if left <= 0 {
			h.t.Fatalf("%s: not within %v", what, patience)
		}
		if err := h.Wait(left); err != nil {
			h.t.Fatalf("%s: Wait: %v", what, err)
		}
	}
}

// quiet takes events for a while and expects that none arrives.
func (h *harness) quiet(what string) {
	h.t.Helper()
	deadline := time.Now().Add(30 * time.Millisecond)
	for time.Now().Before(deadline) {
		if h.Next(&h.event) {
			h.t.Fatalf("%s: unexpected event %s", what, show(&h.event))
		}
		if err := h.Wait(time.Until(deadline)); err != nil {
			h.t.Fatalf("%s: Wait: %v", what, err)
		}
	}
}

func (h *harness) dispatch() {
	h.t.Helper()
	ev := &h.event
	if ev.Token>>56 != 0 {
		h.t.Fatalf("token %#x has bits of the driver's", uint64(ev.Token))
	}
	if (ev.Data == nil) != (ev.Buffer == ring.NoBuffer) || ev.Data != nil && len(ev.Data) != ev.N {
		h.t.Fatalf("inconsistent event %s", show(ev))
	}
	handle := h.handlers[key{ev.Token, ev.Op}]
	if handle == nil {
		h.t.Fatalf("unexpected event %s", show(ev))
	}
	handle(ev)
}

func show(ev *ring.Event) string {
	return fmt.Sprintf("{slot %d generation %d %v more=%v err=%v n=%d data=%d bytes buffer=%d}",
		ev.Token.Slot(), ev.Token.Generation(), ev.Op, ev.More, ev.Err, ev.N, len(ev.Data), ev.Buffer)
}

// listen makes a listening socket on a free port of loopback, in non-blocking
// mode as Go's own are: what the driver needs is the driver's to set.
func (h *harness) listen() (fd int, address string) {
	h.t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	h.must("socket", err)
	h.owned = append(h.owned, fd)
	h.must("bind", unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	h.must("listen", unix.Listen(fd, 1024))
	sa, err := unix.Getsockname(fd)
	h.must("getsockname", err)
	return fd, fmt.Sprintf("127.0.0.1:%d", sa.(*unix.SockaddrInet4).Port)
}

// arm starts the harness's own stream of accepted sockets.
func (h *harness) arm() {
	if h.listener < 0 {
		h.listener, h.address = h.listen()
	}
	h.on(listenerToken, ring.OpAccept, func(ev *ring.Event) {
		if ev.Err != 0 {
			h.t.Fatalf("accept: %s", show(ev))
		}
		h.owned = append(h.owned, ev.N)
		h.accepted = append(h.accepted, ev.N)
		if !ev.More {
			h.Accept(h.listener, listenerToken)
		}
	})
	h.Accept(h.listener, listenerToken)
}

// connect makes a connection: fd is the driver's end, the test owns it.
func (h *harness) connect() (fd int, peer *net.TCPConn) {
	h.t.Helper()
	if h.listener < 0 {
		h.arm()
	}
	conn, err := net.Dial("tcp", h.address)
	h.must("dial", err)
	h.t.Cleanup(func() { conn.Close() })
	h.must("deadline", conn.SetDeadline(time.Now().Add(patience)))
	h.until("accept", func() bool { return len(h.accepted) > 0 })
	fd = h.accepted[0]
	h.accepted = h.accepted[1:]
	return fd, conn.(*net.TCPConn)
}

// close closes a socket through the driver.
func (h *harness) close(fd int) {
	h.disown(fd)
	h.Close(fd)
}

func (h *harness) disown(fd int) {
	h.owned = slices.DeleteFunc(h.owned, func(o int) bool { return o == fd })
}

func (h *harness) must(what string, err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("%s: %v", what, err)
	}
}

// offHeap returns n bytes which the kernel may be given.
func offHeap(t *testing.T, n int) []byte {
	t.Helper()
	p, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		t.Fatalf("mmap: %v", err)
	}
	t.Cleanup(func() { unix.Munmap(p) })
	return p
}

// pattern fills p with bytes that depend on their position in the stream.
func pattern(p []byte, from int) []byte {
	for i := range p {
		n := uint32(from + i)
		p[i] = byte(n*2654435761>>24) ^ byte(n)
	}
	return p
}

// openFiles counts the process's file descriptors.
func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// isReset reports whether err is how a socket tells of a reset connection.
func isReset(err syscall.Errno) bool { return err == unix.ECONNRESET || err == unix.EPIPE }
