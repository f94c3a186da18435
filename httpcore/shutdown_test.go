//go:build linux

package httpcore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func TestShutdownClosesIdleConnectionsAtOnce(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		fresh, used, odd := ts.dial(), ts.dial(), ts.dial()
		used.send(get("/1"))
		used.want(200, "GET /1||")
		odd.send(get("/1") + "\r\n") // an empty line begins no request
		odd.want(200, "GET /1||")
		eventually(t, "all are accepted", func() bool { return ts.engine().Conns() == 3 })
		go func() {
			for _, c := range []*client{fresh, used, odd} {
				io.Copy(io.Discard, c)
				c.Close()
			}
		}()
		if err := ts.Shutdown(); err != nil {
			t.Fatal(err)
		}
		if err := <-ts.done; err != nil {
			t.Fatalf("Serve: %v", err)
		}
		if c, err := net.Dial("tcp", ts.addr); err == nil {
			c.Close()
			t.Fatal("the server still accepts")
		}
	})
}

func TestShutdownAnswersWhatRuns(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		begun, release := make(chan struct{}), make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			if string(ctx.Path()) == "/wait" {
				close(begun)
				<-release
			}
			echo(ctx)
		}})
		c, body := ts.dial(), ts.dial()
		body.send("POST /body HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbo")
		c.send(get("/wait") + get("/behind"))
		<-begun
		done := ts.beginShutdown()
		if err := <-ts.done; err != nil { // Serve returns at once
			t.Fatalf("Serve: %v", err)
		}
		select {
		case err := <-done:
			t.Fatalf("Shutdown has not waited: %v", err)
		default:
		}
		body.send("dy")
		if r := body.want(200, "POST /body|body|"); !r.Close {
			t.Fatal("the response does not announce the close")
		}
		body.wantEOF()
		body.Close()
		close(release)
		c.want(200, "GET /wait||")
		if r := c.want(200, "GET /behind||"); !r.Close { // its handler was to run
			t.Fatal("the response does not announce the close")
		}
		c.wantEOF()
		c.Close()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestShutdownIsCutByItsContext(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		begun, release := make(chan struct{}), make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			close(begun)
			<-ctx.Done()
			<-release
		}})
		c := ts.dial()
		c.send(get("/"))
		<-begun
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if err := ts.ShutdownWithContext(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		close(release)
		if r, err := c.tryResponse("GET"); err == nil {
			t.Fatalf("got %d after the cut", r.StatusCode)
		}
		if err := <-ts.done; err != nil {
			t.Fatalf("Serve: %v", err)
		}
	})
}

// Every request that a handler has begun is answered, however busy the server.
func TestShutdownUnderLoadLosesNoAnswer(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for range 5 {
			var handled, answered atomic.Int64
			ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
				handled.Add(1)
				echo(ctx)
			}})
			var wg sync.WaitGroup
			for i := range 20 {
				c := ts.dial()
				wg.Go(func() { // a client that sends and never retries
					defer c.Close()
					depth := 1 + i%4
					for {
						if _, err := io.WriteString(c, strings.Repeat(get("/"), depth)); err != nil {
							depth = 1 << 20 // read what is still there
						}
						for range depth {
							r, err := c.tryResponse("GET")
							if err != nil {
								return
							}
							if r.body != "GET /||" {
								t.Errorf("got %q", r.body)
							}
							answered.Add(1)
							if r.Close {
								return
							}
						}
					}
				})
			}
			eventually(t, "there is load", func() bool { return answered.Load() > 500 })
			if err := ts.Shutdown(); err != nil {
				t.Fatal(err)
			}
			wg.Wait()
			if h, a := handled.Load(), answered.Load(); h != a {
				t.Fatalf("%d requests were handled, %d answered", h, a)
			}
		}
	})
}

func TestServeAgainAfterShutdown(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		for range 3 {
			ts.wantServes("/1", "GET /1||")
			if err := ts.Shutdown(); err != nil {
				t.Fatal(err)
			}
			if err := <-ts.done; err != nil {
				t.Fatal(err)
			}
			ln, err := net.Listen("tcp", ts.addr) // the address is free again
			if err != nil {
				t.Fatal(err)
			}
			go func() { ts.done <- ts.Serve(ln) }()
		}
		ts.wantServes("/1", "GET /1||")
	})
}

func TestSeveralListenersAndUnixSockets(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			fmt.Fprintf(ctx, "%s", ctx.RemoteAddr().Network())
		}})
		path := filepath.Join(t.TempDir(), "s")
		done := make(chan error, 2)
		for _, a := range [][2]string{{"unix", path}, {"tcp", "127.0.0.1:0"}} {
			ln, err := net.Listen(a[0], a[1])
			if err != nil {
				t.Fatal(err)
			}
			addr := ln.Addr().String()
			go func() { done <- ts.Serve(ln) }()
			for range 2 {
				nc, err := net.Dial(a[0], addr)
				if err != nil {
					t.Fatal(err)
				}
				c := newClient(t, nc)
				c.send(get("/"))
				c.want(200, a[0])
				c.Close()
			}
		}
		ts.wantServes("/", "tcp")
		if err := ts.Shutdown(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Fatalf("the socket's file is still there: %v", err)
		}
	})
}

func TestPortZeroAndInfo(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ready := make(chan Info, 1)
		s := New(&fasthttp.Server{Handler: echo}, WithDriver(m.driver), WithDispatch(m.dispatch), WithLoops(2),
			WithReady(func(i Info) { ready <- i }))
		if s.Info() != (Info{}) {
			t.Fatalf("Info before Serve is %+v", s.Info())
		}
		done := make(chan error, 1)
		go func() { done <- s.ListenAndServe("127.0.0.1:0") }()
		i := <-ready
		if i.Driver != m.driver.String() || i.Dispatch != m.dispatch.String() || i.Loops != 2 ||
			i.Addr.(*net.TCPAddr).Port == 0 || (i.Tier != "") != (m.driver == IOUring) || (i.Reason == "") != (m.driver == IOUring) {
			t.Fatalf("Info is %+v", i)
		}
		if name, _ := s.Driver(); name != i.Driver {
			t.Fatalf("Driver is %s", name)
		}
		for range 4 { // both loops get some
			nc, err := net.Dial("tcp", i.Addr.String())
			if err != nil {
				t.Fatal(err)
			}
			c := newClient(t, nc)
			c.send(get("/", "Connection: close"))
			c.want(200, "GET /||")
			c.Close()
		}
		if err := s.Shutdown(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestAddressInUseIsOneClearLine(t *testing.T) {
	ts := serve(t, mode{driver: Epoll}, &fasthttp.Server{Handler: echo})
	err := ListenAndServe(ts.addr, echo, WithDriver(Epoll))
	if err == nil || !strings.Contains(err.Error(), "address already in use") ||
		!strings.Contains(err.Error(), ts.addr) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("got %v", err)
	}
}

func TestServeWithoutHandler(t *testing.T) {
	if err := New(&fasthttp.Server{}).ListenAndServe("127.0.0.1:0"); !errors.Is(err, ErrNoHandler) {
		t.Fatalf("got %v", err)
	}
}

func TestShutdownBeforeServe(t *testing.T) {
	if err := New(&fasthttp.Server{Handler: echo}).Shutdown(); err != nil {
		t.Fatal(err)
	}
}
