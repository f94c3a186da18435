//go:build linux

package fallback

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// patience bounds every wait for something that must happen.
const patience = 10 * time.Second

// driver is an Epoll with a test around it.
type driver struct {
	watched
	t testing.TB
}

func open(t testing.TB, cfg ring.Config) *driver {
	t.Helper()
	runtime.LockOSThread()
	e, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Destroy(); err != nil {
			t.Error(err)
		}
		runtime.UnlockOSThread()
	})
	return &driver{watched{e, t}, t}
}

// next waits for an event.
func (d *driver) next(what string) ring.Event {
	d.t.Helper()
	var ev ring.Event
	for deadline := time.Now().Add(patience); !d.Next(&ev); {
		left := time.Until(deadline)
		if left <= 0 {
			d.t.Fatalf("%s: no event within %v", what, patience)
		}
		d.wait(left)
	}
	return ev
}

// want waits for an event and compares all of it but the data.
func (d *driver) want(what string, want ring.Event) ring.Event {
	d.t.Helper()
	ev := d.next(what)
	got := ev
	got.Data, got.Buffer = nil, ring.NoBuffer
	if fmt.Sprint(got) != fmt.Sprint(want) {
		d.t.Fatalf("%s: got %+v, want %+v", what, got, want)
	}
	return ev
}

// wantData waits for received bytes and releases their buffer.
func (d *driver) wantData(token ring.Token, want string) {
	d.t.Helper()
	ev := d.want("data", ring.Event{Token: token, Op: ring.OpReceive, More: true, N: len(want)})
	if string(ev.Data) != want {
		d.t.Fatalf("received %q, want %q", ev.Data, want)
	}
	d.Release(ev.Buffer)
}

// quiet checks that nothing happens.
func (d *driver) quiet(what string) {
	d.t.Helper()
	var ev ring.Event
	for range 3 {
		d.wait(10 * time.Millisecond)
		if d.Next(&ev) {
			d.t.Fatalf("%s: unexpected event %+v", what, ev)
		}
	}
}

func (d *driver) wait(timeout time.Duration) {
	d.t.Helper()
	if err := d.Wait(timeout); err != nil {
		d.t.Fatal(err)
	}
}

// cancelReceive pauses the receive of fd.
func (d *driver) cancelReceive(fd int, token ring.Token) {
	d.t.Helper()
	d.Cancel(fd, token, ring.OpReceive)
	d.want("cancel", ring.Event{Token: token, Op: ring.OpReceive, Err: unix.ECANCELED})
}

// must fails the test for an error of its own system calls.
func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// listen returns a listening socket of loopback and its address.
func listen(t testing.TB) (int, *unix.SockaddrInet4) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, "socket", err)
	t.Cleanup(func() { unix.Close(fd) })
	must(t, "bind", unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(t, "listen", unix.Listen(fd, 1024))
	address, err := unix.Getsockname(fd)
	must(t, "getsockname", err)
	return fd, address.(*unix.SockaddrInet4)
}

// dial returns a blocking socket connected to address.
func dial(t testing.TB, address unix.Sockaddr) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, "socket", err)
	limit := unix.NsecToTimeval(int64(patience))
	must(t, "SO_RCVTIMEO", unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit))
	must(t, "SO_SNDTIMEO", unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit))
	must(t, "connect", retry(func() error { return unix.Connect(fd, address) }))
	must(t, "TCP_NODELAY", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	return fd
}

// retry repeats a system call that a signal of Go's scheduler interrupted: with
// a timeout on the socket the kernel does not restart it.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// pair returns a connection over TCP: fd for the driver, which the test
// closes if it is still open, and its peer, a blocking socket.
func pair(t testing.TB) (fd, peer int) {
	t.Helper()
	listener, address := listen(t)
	peer = dial(t, address)
	fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	must(t, "accept", err)
	must(t, "TCP_NODELAY", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	t.Cleanup(func() { unix.Close(peer) })
	return fd, peer
}

// write sends all of p from a test's socket.
func write(t testing.TB, fd int, p []byte) {
	t.Helper()
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if err == unix.EINTR {
			continue
		}
		must(t, "write", err)
		p = p[n:]
	}
}

// readFull fills p from a test's socket.
func readFull(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Read(fd, p)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if n == 0 {
			return fmt.Errorf("read: EOF, %d bytes missing", len(p))
		}
		p = p[n:]
	}
	return nil
}

// offHeap returns n bytes of memory which the kernel may be given, filled
// from a seed.
func offHeap(t testing.TB, n int) []byte {
	t.Helper()
	p, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	must(t, "mmap", err)
	t.Cleanup(func() { unix.Munmap(p) })
	fill(p)
	return p
}

func fill(p []byte) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range p {
		p[i] = byte(random.Uint32())
	}
}

func address(p []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(p))) }

// openFiles counts the process's descriptors.
func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, "/proc/self/fd", err)
	return len(entries)
}

// fileConn makes a connection of package net out of fd, and takes fd over.
func fileConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "")
	defer f.Close()
	return net.FileConn(f)
}
