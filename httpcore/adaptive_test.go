//go:build linux

package httpcore

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

// runAdaptive runs f as a subtest for each driver, with Adaptive dispatch.
func runAdaptive(t *testing.T, f func(t *testing.T, m mode)) {
	t.Helper()
	for _, d := range []DriverKind{IOUring, Epoll} {
		t.Run(d.String(), func(t *testing.T) {
			m := mode{driver: d, dispatch: Adaptive}
			requireDriver(t, m)
			f(t, m)
		})
	}
}

// ways of blocking: each returns a function that blocks until it is released.
var blocking = map[string]func() (block, release func()){
	"channel": func() (block, release func()) {
		ch := make(chan struct{})
		return func() { <-ch }, func() { close(ch) }
	},
	"mutex": func() (block, release func()) {
		var mu sync.Mutex
		mu.Lock()
		return func() { mu.Lock(); mu.Unlock() }, mu.Unlock //nolint:staticcheck // waiting is all
	},
	"read(2)": func() (block, release func()) {
		var p [2]int
		if err := unix.Pipe(p[:]); err != nil {
			panic(err)
		}
		return func() {
				var b [1]byte
				for {
					if _, err := unix.Read(p[0], b[:]); err != unix.EINTR {
						break
					}
				}
				unix.Close(p[0])
			}, func() {
				unix.Write(p[1], []byte{1})
				unix.Close(p[1])
			}
	},
	"socket": func() (block, release func()) { // by Go's poller, as in database/sql
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		defer ln.Close()
		near, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			panic(err)
		}
		far, err := ln.Accept()
		if err != nil {
			panic(err)
		}
		return func() { near.Read(make([]byte, 1)); near.Close() }, func() { far.Close() }
	},
	"processor": func() (block, release func()) {
		var stop atomic.Bool
		return func() {
			for !stop.Load() { //nolint:revive // burns
			}
		}, func() { stop.Store(true) }
	},
}

// warm has the handler of "/" prove itself, so that it runs on the loop.
func (ts *testServer) warm() {
	ts.t.Helper()
	c := ts.dial()
	defer c.Close()
	for range 100 {
		c.send(get("/"))
		c.wantStatus(200)
	}
}

func (ts *testServer) takenOver() (n uint64) {
	for _, l := range ts.engine().Loops() {
		n += l.TakenOver()
	}
	return n
}

// TestAdaptiveServesOthers: a quick route blocks once, on the loop. The others
// are served meanwhile, and its own answer follows.
func TestAdaptiveServesOthers(t *testing.T) {
	runAdaptive(t, func(t *testing.T, m mode) {
		for how, prepare := range blocking {
			t.Run(how, func(t *testing.T) {
				block, release := prepare()
				entered := make(chan struct{})
				ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
					if len(ctx.Request.Header.Peek("Block")) > 0 {
						close(entered)
						block()
					}
					ctx.SetBodyString(string(ctx.Path()) + string(ctx.Request.Header.Peek("N")))
				}}, WithLoops(1))
				idle := ts.dial() // its receive was started by the thread that blocks
				idle.send(get("/"))
				idle.want(200, "/")
				ts.warm()
				c := ts.dial()
				c.send(get("/", "Block: 1") + get("/", "N: 2") + get("/", "N: 3"))
				<-entered
				for range 10 {
					ts.wantServes("/", "/")
					idle.send(get("/"))
					idle.want(200, "/")
				}
				if ts.takenOver() == 0 {
					t.Fatal("nobody took the loop over: the handler did not run on it")
				}
				release()
				c.want(200, "/")
				c.want(200, "/2")
				c.want(200, "/3")
				ts.wantServes("/", "/")
			})
		}
	})
}

// TestAdaptiveSendsSurviveTheMove: a response that is being sent when the loop
// changes hands arrives whole.
func TestAdaptiveSendsSurviveTheMove(t *testing.T) {
	const size = 8 << 20
	runAdaptive(t, func(t *testing.T, m mode) {
		body := pattern(size)
		block, release := blocking["channel"]()
		entered := make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			switch {
			case string(ctx.Path()) == "/big":
				ctx.Response.SetBodyRaw(body)
			case len(ctx.Request.Header.Peek("Block")) > 0:
				close(entered)
				block()
			}
		}}, WithLoops(1))
		ts.warm()
		slow := ts.dial()
		slow.send(get("/big"))
		resp := slow.openResponse() // the rest waits in the server
		c := ts.dial()
		c.send(get("/", "Block: 1"))
		<-entered
		ts.wantServes("/", "")
		wantPattern(t, resp.Body, size)
		release()
		c.wantStatus(200)
	})
}

// TestAdaptiveGoexit: runtime.Goexit in a handler on the loop ends neither the
// loop nor the requests behind it.
func TestAdaptiveGoexit(t *testing.T) {
	runAdaptive(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			if len(ctx.Request.Header.Peek("Exit")) > 0 {
				runtime.Goexit()
			}
		}}, WithLoops(1))
		for range 20 {
			ts.warm()
			c := ts.dial()
			c.send(get("/") + get("/", "Exit: 1") + get("/never"))
			c.wantStatus(200)
			c.wantStatus(500)
			c.wantEOF()
		}
	})
}

// TestAdaptiveShutdown: a handler that blocks on the loop is waited for, and
// answers, when the server shuts down; and a context that ends cuts it short.
func TestAdaptiveShutdown(t *testing.T) {
	runAdaptive(t, func(t *testing.T, m mode) {
		block, release := blocking["channel"]()
		entered := make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			if len(ctx.Request.Header.Peek("Block")) > 0 {
				close(entered)
				block()
				ctx.SetBodyString("late")
			}
		}}, WithLoops(1))
		ts.warm()
		c := ts.dial()
		c.send(get("/", "Block: 1"))
		<-entered
		ended := ts.beginShutdown()
		select {
		case err := <-ended:
			t.Fatalf("Shutdown returned %v while a handler runs", err)
		default:
		}
		release()
		c.want(200, "late")
		c.Close()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

// TestAdaptiveClientGone: the client of a handler that blocks on the loop goes.
func TestAdaptiveClientGone(t *testing.T) {
	runAdaptive(t, func(t *testing.T, m mode) {
		entered, gone := make(chan struct{}), make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			if len(ctx.Request.Header.Peek("Block")) > 0 {
				close(entered)
				<-ctx.Done() // seen by whoever has taken the loop over
				close(gone)
			}
		}}, WithLoops(1))
		ts.warm()
		c := ts.dial()
		c.send(get("/", "Block: 1") + get("/", "N: 2"))
		<-entered
		c.reset()
		<-gone
		ts.wantServes("/", "")
		ts.wantNoConns()
	})
}

// TestAdaptiveUnderLoad: handlers that block now and then, on several loops and
// many connections, with pipelining: every answer comes, in order.
func TestAdaptiveUnderLoad(t *testing.T) {
	const clients, rounds = 32, 30
	runAdaptive(t, func(t *testing.T, m mode) {
		var count atomic.Uint64
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			if count.Add(1)%97 == 0 {
				time.Sleep(3 * time.Millisecond)
			}
			ctx.SetBody(ctx.Request.Header.Peek("N"))
		}}, WithLoops(2))
		var wg sync.WaitGroup
		errs := make(chan error, clients)
		for i := range clients {
			c := ts.dial()
			wg.Add(1)
			go func() {
				defer wg.Done()
				for r := range rounds {
					var b strings.Builder
					for k := range 5 {
						b.WriteString(get("/", fmt.Sprintf("N: %d-%d-%d", i, r, k)))
					}
					if _, err := c.Write([]byte(b.String())); err != nil {
						errs <- err
						return
					}
					for k := range 5 {
						resp, err := c.tryResponse("GET")
						if want := fmt.Sprintf("%d-%d-%d", i, r, k); err != nil || resp.body != want {
							errs <- fmt.Errorf("got %q and %v, want %q", resp.body, err, want)
							return
						}
					}
				}
			}()
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			t.Error(err)
		}
		if n := count.Load(); n != clients*rounds*5 {
			t.Errorf("%d requests were handled, want %d", n, clients*rounds*5)
		}
	})
}
