//go:build linux

package drivertest

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

func testAcceptStream(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, address := h.listen()
	token := ring.MakeToken(3, 1)
	var sockets []int
	ends := 0
	h.on(token, ring.OpAccept, func(ev *ring.Event) {
		if ev.Err != 0 {
			t.Fatalf("accept: %s", show(ev))
		}
		sockets = append(sockets, ev.N)
		h.owned = append(h.owned, ev.N)
		if !ev.More {
			ends++
			h.Accept(fd, token)
		}
	})
	h.Accept(fd, token)

	const connections = 40
	ports := map[int]bool{}
	for i := range connections {
		conn, err := net.Dial("tcp", address)
		h.must("dial", err)
		defer conn.Close()
		ports[conn.LocalAddr().(*net.TCPAddr).Port] = true
		if i%4 == 0 { // both one at a time and several at once
			h.until("accept", func() bool { return len(sockets) == i+1 })
		}
	}
	h.until("accept", func() bool { return len(sockets) == connections })
	if ends != 0 {
		t.Errorf("the stream ended %d times, want a stream without end", ends)
	}
	for _, s := range sockets {
		flags, err := unix.FcntlInt(uintptr(s), unix.F_GETFD, 0)
		h.must("F_GETFD", err)
		if flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("socket %d is not close-on-exec", s)
		}
		sa, err := unix.Getpeername(s)
		h.must("getpeername", err)
		port := sa.(*unix.SockaddrInet4).Port
		if !ports[port] {
			t.Errorf("socket %d: peer port %d twice or unknown", s, port)
		}
		delete(ports, port)
	}
	h.quiet("after the last connection")
}

// testAcceptOutOfFiles: EMFILE ends the stream, and arming it again when there
// are files accepts what was waiting.
func testAcceptOutOfFiles(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	fd, address := h.listen()
	token := ring.MakeToken(4, 1)
	conn, err := net.Dial("tcp", address)
	h.must("dial", err)
	defer conn.Close()

	restore := exhaustFiles(t)
	var last ring.Event
	got := false
	h.on(token, ring.OpAccept, func(ev *ring.Event) { last, got = *ev, true })
	h.Accept(fd, token)
	deadline := time.Now().Add(patience)
	for !got && time.Now().Before(deadline) { // no t.Fatal before restore
		if h.Next(&h.event) {
			h.dispatch()
		} else if err := h.Wait(time.Second); err != nil {
			restore()
			t.Fatalf("Wait: %v", err)
		}
	}
	restore()
	if !got || last.Err != unix.EMFILE || last.More {
		t.Fatalf("got %s, want EMFILE and the end", show(&last))
	}
	got = false
	h.Accept(fd, token)
	h.until("accept after EMFILE", func() bool { return got })
	if last.Err != 0 {
		t.Fatalf("after EMFILE: %s", show(&last))
	}
	h.owned = append(h.owned, last.N)
}

// exhaustFiles lowers the limit of open files to what is open now.
func exhaustFiles(t *testing.T) (restore func()) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	top, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	limit := old
	limit.Cur = uint64(top) + 64
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	files := []int{top}
	for {
		fd, err := unix.FcntlInt(uintptr(top), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			break
		}
		files = append(files, fd)
	}
	return func() {
		for _, fd := range files {
			unix.Close(fd)
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			t.Error(err)
		}
	}
}

// testAcceptOnBadSocket: what goes wrong with a command is an event, and final.
func testAcceptOnBadSocket(t *testing.T, open Open) {
	h := start(t, open, ring.Config{})
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	h.must("socketpair", err)
	h.owned = append(h.owned, pair[0], pair[1])
	token := ring.MakeToken(5, 1)
	var last ring.Event
	events := 0
	h.on(token, ring.OpAccept, func(ev *ring.Event) { last = *ev; events++ })
	h.Accept(pair[0], token)
	h.until("error", func() bool { return events > 0 })
	if last.Err != unix.EINVAL && last.Err != unix.EOPNOTSUPP || last.More {
		t.Errorf("accept on a socket that does not listen: %s", show(&last))
	}
	h.quiet("after the error")
}
