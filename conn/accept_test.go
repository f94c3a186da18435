//go:build linux

package conn

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTenThousandConnections opens and closes that many, in rounds, and every
// way of closing: descriptors and memory are back where they were.
func TestTenThousandConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	run(t, func(t *testing.T, kind DriverKind) {
		const rounds, conns = 3, 3400
		h := echo()
		data := h.data
		h.data = func(c *Conn, p []byte) int {
			n := data(c, p)
			if p[0] == 'c' {
				c.Close()
			}
			return n
		}
		e := serve(t, kind, h, Options{Loops: 2})
		before := openSockets(t)
		var heap [rounds]uint64
		for round := range rounds {
			oneRound(t, e, conns)
			eventually(t, "all connections are gone", func() bool { return e.Conns() == 0 })
			eventually(t, "all sockets are closed", func() bool { return openSockets(t) <= before })
			for i := range e.loops {
				// One free slab of each size is kept, the others for a while.
				eventually(t, "the send buffers are given back", func() bool {
					slabs := make(chan int, 1)
					e.loops[i].Post(&Task{Run: func(l *Loop) { slabs <- l.tiny.slabs + l.small.slabs + l.large.slabs }})
					return wait(t, "a task", slabs) <= 3
				})
			}
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			heap[round] = m.HeapAlloc
		}
		// The first round fills the table of slots, which stays.
		if grown := int64(heap[rounds-1]) - int64(heap[0]); grown > 1<<20 {
			t.Errorf("the heap has grown from round to round: %v", heap)
		}
	})
}

func oneRound(t *testing.T, e *testEngine, conns int) {
	clients := make([]net.Conn, conns)
	defer func() {
		for _, nc := range clients {
			if nc != nil {
				_ = nc.Close()
			}
		}
	}()
	for i := range clients {
		nc, err := net.Dial("tcp", e.addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(2 * patience))
		clients[i] = nc
		first := []byte("x")
		if i%3 == 0 {
			first = []byte("c") // the server closes
		}
		write(t, nc, first)
	}
	for i, nc := range clients {
		if _, err := io.ReadFull(nc, make([]byte, 1)); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	if n := e.Conns(); n < conns/2 {
		t.Errorf("%d connections are open", n)
	}
	for i, nc := range clients {
		switch i % 3 {
		case 1:
			reset(nc.(*net.TCPConn))
		case 2:
			closeWrite(t, nc.(*net.TCPConn))
			wantEOF(t, nc)
		}
	}
}

// TestLoopsShareConnections: each loop gets as many as the others.
func TestLoopsShareConnections(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		const loops, each = 3, 10
		var handlers sync.Map
		e := serveEach(t, kind, func(l *Loop) Handler {
			h := echo()
			handlers.Store(l.Index(), h)
			return h
		}, Options{Loops: loops})
		for range loops * each {
			nc := e.dial()
			write(t, nc, []byte("x"))
			wantRead(t, nc, []byte("x"))
		}
		n := 0
		handlers.Range(func(any, any) bool { n++; return true })
		if n != loops {
			t.Errorf("%d handlers for %d loops", n, loops)
		}
		for _, l := range e.Loops() {
			if l.Conns() != each {
				t.Errorf("loop %d has %d connections, want %d", l.Index(), l.Conns(), each)
			}
		}
		if e.Conns() != loops*each {
			t.Errorf("%d connections in all", e.Conns())
		}
	})
}

const emfileChild = "RINGCORE_TEST_EMFILE"

// TestMain is also the server of TestOutOfDescriptors.
func TestMain(m *testing.M) {
	if kind := os.Getenv(emfileChild); kind != "" {
		if err := serveWithFewFiles(kind); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveWithFewFiles serves echo with a low limit of descriptors until its
// input ends. It says where, and at the end how many warnings there were.
func serveWithFewFiles(name string) error {
	kind, err := ParseDriver(name)
	if err != nil {
		return err
	}
	var warnings atomic.Int64
	e, err := Start(Options{Driver: kind, Handler: func(*Loop) Handler { return echo() },
		OnWarning: func(err error) {
			if errors.Is(err, ErrAcceptPaused) && errors.Is(err, unix.EMFILE) {
				warnings.Add(1)
			}
		}})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 60, Max: 60}); err != nil {
		return err
	}
	if err := e.Listen(ln); err != nil {
		return err
	}
	_, _ = io.ReadAll(os.Stdin)
	fmt.Println("warnings:", warnings.Load())
	return nil
}

// TestOutOfDescriptors: with all descriptors in use the server goes on
// serving, at rest, and takes the waiting connections when others have gone.
func TestOutOfDescriptors(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), emfileChild+"="+kind.String())
		child.Stderr = os.Stderr
		stdin, err := child.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = child.Process.Kill()
			_ = child.Wait()
		}()
		lines := bufio.NewScanner(stdout)
		if !lines.Scan() || strings.HasPrefix(lines.Text(), "error") {
			t.Fatalf("the child says %q", lines.Text())
		}
		e := &testEngine{t: t, addr: lines.Text()}

		const conns = 100
		var clients []*net.TCPConn
		answered := make(chan int, conns)
		for i := range conns {
			nc := e.dial()
			clients = append(clients, nc)
			write(t, nc, []byte("x"))
			go func() {
				if _, err := io.ReadFull(nc, make([]byte, 1)); err == nil {
					answered <- i
				}
			}()
		}
		served := map[int]bool{}
		gather := func(n int) {
			for len(served) < n {
				i := wait(t, fmt.Sprintf("connection %d to be served", len(served)+1), answered)
				served[i] = true
			}
		}
		gather(30) // of at most 60
		cpu := cpuTicks(t, child.Process.Pid)
		time.Sleep(time.Second) // the shortage that is measured
		if used := cpuTicks(t, child.Process.Pid) - cpu; used > 20 {
			t.Errorf("%d ms of CPU in a second of waiting for descriptors", used*10)
		}
		for len(answered) > 0 {
			served[<-answered] = true
		}
		if len(served) >= 60 {
			t.Fatalf("%d connections are served with 60 descriptors", len(served))
		}
		for i := range served { // who is connected goes on
			write(t, clients[i], []byte("y"))
			wantRead(t, clients[i], []byte("y"))
		}
		// Room again: the others are served, some at each close.
		for len(served) < conns {
			n := len(served)
			for i := range served {
				clients[i].Close()
			}
			gather(n + 1)
		}
		stdin.Close()
		if !lines.Scan() || lines.Text() != "warnings: 1" {
			t.Errorf("the child says %q, want one warning", lines.Text())
		}
	})
}

// cpuTicks returns the CPU time of a process, in units of 10 ms.
func cpuTicks(t *testing.T, pid int) int {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	s := string(stat)
	fields := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return user + system
}
