//go:build linux

package httpcore

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

// openFDs is the number of descriptors of this process.
func openFDs(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

func requireFDs(t *testing.T, n uint64) {
	t.Helper()
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || l.Cur < n {
		t.Skipf("RLIMIT_NOFILE is %d, want %d", l.Cur, n)
	}
	if testing.Short() {
		t.Skip("many connections")
	}
}

// Thousands of clients that never finish their heads keep nobody else waiting.
func TestSlowloris(t *testing.T) {
	requireFDs(t, 6000)
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		const n = 2000
		var slow []net.Conn
		defer func() {
			for _, c := range slow {
				c.Close()
			}
		}()
		for range n {
			c, err := net.Dial("tcp", ts.addr)
			if err != nil {
				t.Fatal(err)
			}
			slow = append(slow, c)
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: test\r\nX-a: b\r\n")
		}
		eventually(t, "all are accepted", func() bool { return ts.engine().Conns() == n })
		for i := range 200 {
			io.WriteString(slow[i*7%n], "X-a: b\r\n")
			start := time.Now()
			ts.wantServes("/1", "GET /1||")
			if d := time.Since(start); d > 2*time.Second {
				t.Fatalf("a request took %v", d)
			}
		}
	})
}

func TestTenThousandConnectionsLeaveNothingBehind(t *testing.T) {
	requireFDs(t, 9500)
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		ts.wantServes("/1", "GET /1||")
		ts.wantNoConns()
		round := func(n int) {
			conns := make([]net.Conn, n)
			for i := range conns {
				c, err := net.Dial("tcp", ts.addr)
				if err != nil {
					t.Fatal(err)
				}
				conns[i] = c
				if i%3 > 0 {
					io.WriteString(c, get("/1"))
				}
			}
			eventually(t, "all are accepted", func() bool { return ts.engine().Conns() == n })
			for i, c := range conns {
				switch i % 4 {
				case 0:
					c.(*net.TCPConn).SetLinger(0)
				case 1:
					if i%3 > 0 { // it has sent a request
						if _, err := c.Read(make([]byte, 1)); err != nil {
							t.Fatal(err)
						}
					}
				}
				c.Close()
			}
			ts.wantNoConns()
		}
		round(100)
		fds, heap, mapped := openFDs(t), heapInUse(), mappedBytes(t)
		for range 3 {
			round(3500)
		}
		if n := openFDs(t); n > fds {
			t.Errorf("%d descriptors are open, %d before", n, fds)
		}
		// A slot costs a few hundred bytes and is kept for the next one.
		if n := heapInUse(); n > heap+16<<20 {
			t.Errorf("the heap is %d bytes, %d before", n, heap)
		}
		if n := mappedBytes(t); n > mapped+256<<20 {
			t.Errorf("%d bytes are mapped, %d before", n, mapped)
		}
	})
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	return ms.HeapAlloc
}

// mappedBytes is the resident memory of this process. It shrinks, too, as earlier
// tests give theirs back: a difference may be negative.
func mappedBytes(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int64
	fmt.Sscan(string(b), &size, &resident)
	return resident * int64(os.Getpagesize())
}

const exhaustionEnv = "HTTPCORE_TEST_EXHAUSTION"

// TestFDExhaustionChild is the server of TestFDExhaustion, in a process with
// few descriptors. It tells its address, then answers lines of its stdin with
// the CPU time that it has used so far.
func TestFDExhaustionChild(t *testing.T) {
	name := os.Getenv(exhaustionEnv)
	if name == "" {
		t.Skip("run by TestFDExhaustion")
	}
	kind, err := ParseDriver(name)
	if err != nil {
		t.Fatal(err)
	}
	// Before anything is armed: io_uring takes the limit down when an accept is
	// submitted, and keeps to that.
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 60, Max: 60}); err != nil {
		t.Fatal(err)
	}
	addr := make(chan string, 1)
	s := New(&fasthttp.Server{Handler: echo}, WithDriver(kind), WithReady(func(i Info) { addr <- i.Addr.String() }))
	done := make(chan error, 1)
	go func() { done <- s.ListenAndServe("127.0.0.1:0") }()
	select {
	case err := <-done:
		t.Fatal(err)
	case a := <-addr:
		fmt.Println("addr", a)
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var ru unix.Rusage
		unix.Getrusage(unix.RUSAGE_SELF, &ru)
		fmt.Println("cpu", ru.Utime.Nano()+ru.Stime.Nano())
	}
	if err := s.Shutdown(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// When descriptors run out, what is connected goes on being served, at no cost
// in CPU time, and those who wait are served as soon as there is room.
func TestFDExhaustion(t *testing.T) {
	for _, m := range []mode{{driver: IOUring}, {driver: Epoll}} {
		t.Run(m.driver.String(), func(t *testing.T) {
			requireDriver(t, m)
			cmd := exec.Command(os.Args[0], "-test.run=^TestFDExhaustionChild$", "-test.v")
			cmd.Env = append(os.Environ(), exhaustionEnv+"="+m.driver.String())
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			in, _ := cmd.StdinPipe()
			out, _ := cmd.StdoutPipe()
			var stderr strings.Builder
			cmd.Stderr = &stderr
			runtime.LockOSThread() // Pdeathsig follows the thread
			defer runtime.UnlockOSThread()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(out)
			answer := func(word string) string {
				for {
					l, err := lines.ReadString('\n')
					if err != nil {
						t.Fatalf("the child has ended: %v\n%s", err, stderr.String())
					}
					if v, ok := strings.CutPrefix(strings.TrimSpace(l), word+" "); ok {
						return v
					}
				}
			}
			addr := answer("addr")
			cpu := func() (d time.Duration) {
				io.WriteString(in, "\n")
				fmt.Sscan(answer("cpu"), (*int64)(&d))
				return d
			}
			const n = 100 // more than the child has descriptors
			var conns []*client
			for range n {
				nc, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				c := newClient(t, nc)
				c.send(get("/"))
				conns = append(conns, c)
			}
			conns[0].want(200, "GET /||")
			last := conns[n-1]
			last.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			if _, err := last.r.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("the last connection is not waiting: %v", err)
			}
			last.SetReadDeadline(time.Now().Add(20 * time.Second))
			before := cpu()
			time.Sleep(time.Second) // of shortage: what does it cost?
			if d := cpu() - before; d > 300*time.Millisecond {
				t.Errorf("a second of shortage costs %v of CPU time", d)
			}
			conns[0].send(get("/2")) // what is connected is served
			conns[0].want(200, "GET /2||")
			for _, c := range conns[:n-1] {
				c.Close()
			}
			last.want(200, "GET /||")
			last.Close()
			in.Close()
			io.Copy(io.Discard, out)
			if err := cmd.Wait(); err != nil {
				t.Fatalf("the child: %v\n%s", err, stderr.String())
			}
			if strings.Count(stderr.String(), "\n") != 1 {
				t.Errorf("want one line of log, got:\n%s", stderr.String())
			}
		})
	}
}
