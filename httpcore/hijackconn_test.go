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
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// What a hijack handler gets is a net.Conn like any other: deadlines that can
// be moved, a half-close, addresses.
func TestHijackedConnIsARealOne(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		result := make(chan error, 1)
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.Hijack(func(c net.Conn) {
				result <- func() error {
					b := make([]byte, 5)
					if _, err := io.ReadFull(c, b); string(b) != "early" { // sent together with the request
						return fmt.Errorf("read %q, %w", b, err)
					}
					c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
					if _, err := c.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
						return fmt.Errorf("at the deadline: %w", err)
					}
					c.SetReadDeadline(time.Time{})
					io.WriteString(c, "go on")
					if _, err := io.ReadFull(c, b); string(b) != "later" {
						return fmt.Errorf("read %q, %w", b, err)
					}
					if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
						return err
					}
					rest, err := io.ReadAll(c)
					if string(rest) != "last" || err != nil {
						return fmt.Errorf("read %q, %w", rest, err)
					}
					return nil
				}()
			})
		}})
		c := ts.dial()
		c.send(get("/") + "early")
		c.want(200, "")
		if b, err := c.r.Peek(5); string(b) != "go on" {
			t.Fatalf("got %q, %v", b, err)
		}
		c.r.Discard(5)
		c.send("later")
		c.wantEOF() // its half
		c.send("last")
		c.halfClose()
		if err := <-result; err != nil {
			t.Fatal(err)
		}
	})
}

// RequestCtx.Conn becomes the hijacked connection, for those who hand it out as
// fasthttpadaptor does: on a goroutine that has not waited for the handler.
func TestContextConnAfterHijack(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		result := make(chan error, 1)
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.HijackSetNoResponse(true)
			wait := make(chan struct{})
			ctx.Hijack(func(net.Conn) { <-wait })
			c := ctx.Conn()
			c.SetDeadline(time.Now().Add(20 * time.Second))
			io.WriteString(c, "\x00first\n") // before it is there, octet by octet
			go func() {
				defer close(wait)
				r := bufio.NewReader(c)
				for {
					line, err := r.ReadString('\n')
					if err != nil {
						result <- err
						return
					}
					io.WriteString(c, "echo "+line)
				}
			}()
		}})
		c := ts.dial()
		c.send(get("/") + "a\n")
		c.wantLine("\x00first\n")
		c.wantLine("echo a\n")
		c.send("b\n")
		c.wantLine("echo b\n")
		c.halfClose()
		if err := <-result; err != io.EOF {
			t.Fatal(err)
		}
		c.wantEOF()
	})
}

// A hijack that comes to nothing leaves nobody waiting, and nobody's octets in
// another response.
func TestContextConnWithoutItsHijack(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		result, conns := make(chan error, 1), make(chan net.Conn, 1)
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			if string(ctx.Path()) != "/hijack" {
				hello(ctx)
				return
			}
			ctx.SetConnectionClose() // then there is no hijack, as with fasthttp
			ctx.Hijack(func(net.Conn) { t.Error("the hijack handler runs") })
			c := ctx.Conn()
			conns <- c
			go func() {
				_, err := c.Read(make([]byte, 1))
				result <- err
			}()
		}})
		c := ts.dial()
		c.send(get("/hijack"))
		c.want(200, "")
		c.wantEOF()
		if err := <-result; !errors.Is(err, net.ErrClosed) {
			t.Fatalf("Read: %v", err)
		}
		nc := <-conns
		for range 10 {
			nc.Write([]byte("stray"))
			ts.wantServes("/", "Hello, World!")
		}
	})
}

const hijackClientEnv = "HTTPCORE_TEST_HIJACK_CLIENT"

// TestManyHijackedClient is the client's end of TestManyHijacked: it opens
// connections, and for each line of its stdin speaks on all of them.
func TestManyHijackedClient(t *testing.T) {
	addr, count, ok := strings.Cut(os.Getenv(hijackClientEnv), " ")
	if !ok {
		t.Skip("run by TestManyHijacked")
	}
	n, _ := strconv.Atoi(count)
	conns := make([]net.Conn, 0, n)
	speak := func(c net.Conn, say, want string) {
		c.SetDeadline(time.Now().Add(60 * time.Second))
		io.WriteString(c, say)
		b := make([]byte, len(want))
		if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
			t.Fatalf("got %q, %v", b, err)
		}
	}
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		speak(c, get("/silent")+"hello\n", "echo hello\n")
		conns = append(conns, c)
	}
	fmt.Println("open", len(conns))
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		for _, c := range conns {
			speak(c, "again\n", "echo again\n")
		}
		fmt.Println("spoken", len(conns))
	}
}

// Ten thousand idle hijacked connections are nothing to the loop: no slot, no
// place among Concurrency, no worker.
func TestManyHijacked(t *testing.T) {
	n := 10000
	if testing.Short() {
		n = 1000
	}
	requireFDs(t, uint64(n)+500)
	for _, m := range []mode{{driver: IOUring}, {driver: Epoll}} {
		t.Run(m.driver.String(), func(t *testing.T) {
			requireDriver(t, m)
			ts := serve(t, m, &fasthttp.Server{Handler: hijacker, Concurrency: 100})
			before := mappedBytes(t)
			cmd := exec.Command(os.Args[0], "-test.run=^TestManyHijackedClient$", "-test.v")
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", hijackClientEnv, ts.addr, n))
			cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			in, _ := cmd.StdinPipe()
			out, _ := cmd.StdoutPipe()
			runtime.LockOSThread() // Pdeathsig follows the thread
			defer runtime.UnlockOSThread()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(out)
			hear := func(want string) {
				for {
					l, err := lines.ReadString('\n')
					if err != nil {
						t.Fatalf("the client has ended: %v", err)
					}
					if strings.TrimSpace(l) == want {
						return
					}
				}
			}
			hear(fmt.Sprint("open ", n))
			t.Logf("a hijacked connection with its handler's goroutine and buffer: %.1f KiB",
				float64(mappedBytes(t)-before)/1024/float64(n))
			if c := ts.engine().Conns(); c != 0 {
				t.Errorf("the loops have %d connections", c)
			}
			if c := ts.GetOpenConnectionsCount(); c != 0 {
				t.Errorf("%d connections are open", c)
			}
			ts.wantServes("/1", "GET /1||") // there is room for others
			io.WriteString(in, "\n")
			hear(fmt.Sprint("spoken ", n))
			in.Close()
			io.Copy(io.Discard, out)
			if err := cmd.Wait(); err != nil {
				t.Fatalf("the client: %v", err)
			}
			eventually(t, "their descriptors are closed", func() bool { return openFDs(t) < 500 })
		})
	}
}
