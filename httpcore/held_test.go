//go:build linux

package httpcore

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
)

// heldServer is a server with one loop on which plain requests for "/" run, and
// answer with their number. The handler of the next one after trap is set calls that.
type heldServer struct {
	*testServer
	trap atomic.Pointer[func(*fasthttp.RequestCtx)]
}

func serveHeld(t *testing.T, m mode) *heldServer {
	hs := &heldServer{}
	hs.testServer = serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		n := itoa(int(ctx.ConnRequestNum()))
		if ctx.ConnRequestNum() == 2 {
			if f := hs.trap.Swap(nil); f != nil {
				(*f)(ctx)
			}
		}
		ctx.SetBodyString(n)
	}}, WithLoops(1))
	hs.warm()
	return hs
}

// blocks has the second request of the next connection block until release.
func (hs *heldServer) blocks() (entered chan struct{}, release func()) {
	entered, end := make(chan struct{}), make(chan struct{})
	hs.setTrap(func(*fasthttp.RequestCtx) {
		close(entered)
		<-end
	})
	return entered, func() { close(end) }
}

func (hs *heldServer) setTrap(f func(*fasthttp.RequestCtx)) { hs.trap.Store(&f) }

// serves fails unless another connection is served.
func (hs *heldServer) serves() {
	hs.t.Helper()
	hs.wantServes("/", "1")
}

func (hs *heldServer) wantNoBuffersInUse() {
	hs.t.Helper()
	eventually(hs.t, "no receive buffer is in use", func() bool {
		return hs.Stats(context.Background())[0].BuffersInUse == 0
	})
}

// wants fails unless the next answers are those to the requests from first to last.
func (c *client) wants(first, last int) {
	c.t.Helper()
	for n := first; n <= last; n++ {
		c.want(200, itoa(n))
	}
}

// A handler blocks among plain requests whose input is held in a receive buffer: the
// buffer is given back, others are served, and what is behind is answered after it.
func TestBlockedAmongHeld(t *testing.T) {
	runAdaptive(t, func(t *testing.T, m mode) {
		hs := serveHeld(t, m)
		entered, release := hs.blocks()
		c := hs.dial()
		last := get("/")
		c.send(strings.Repeat(get("/"), 5) + last[:7])
		<-entered
		hs.serves()
		if hs.takenOver() == 0 {
			t.Fatal("nobody took the loop over: the handler did not run on it")
		}
		hs.wantNoBuffersInUse()
		c.send(last[7:])
		hs.serves()
		release()
		c.wants(1, 6)
		c.send(get("/"))
		c.wants(7, 7)
		hs.wantNoBuffersInUse()
	})
}

// The same, and the client resets, or closes its side.
func TestEndOfBlockedAmongHeld(t *testing.T) {
	runAdaptive(t, func(t *testing.T, m mode) {
		hs := serveHeld(t, m)
		for range 5 {
			entered, release := hs.blocks()
			c := hs.dial()
			c.send(strings.Repeat(get("/"), 5))
			<-entered
			c.reset()
			hs.serves()
			release()
			hs.wantNoConns()

			entered, release = hs.blocks()
			c = hs.dial()
			c.send(strings.Repeat(get("/"), 5))
			<-entered
			c.halfClose()
			hs.serves()
			release()
			c.wants(1, 5)
			c.wantEOF()
			hs.wantNoConns()
			hs.warm() // for the route to be trusted again
		}
		hs.wantNoBuffersInUse()
	})
}

// A panic, or runtime.Goexit, among such requests ends the connection, but neither the
// loop nor the buffer.
func TestPanicAmongHeld(t *testing.T) {
	runAdaptive(t, func(t *testing.T, m mode) {
		hs := serveHeld(t, m)
		for i := range 10 {
			hs.setTrap(func(*fasthttp.RequestCtx) {
				if i%2 == 0 {
					panic("on purpose")
				}
				runtime.Goexit()
			})
			c := hs.dial()
			c.send(strings.Repeat(get("/"), 5) + "GET")
			c.wants(1, 1)
			c.wantStatus(500)
			c.wantEOF()
			c.Close()
			hs.wantNoConns()
			hs.wantNoBuffersInUse()
		}
	})
}

// A handler among such requests is suspended: those behind it wait for its answer, and
// hold no buffer.
func TestSuspendAmongHeld(t *testing.T) {
	runAdaptive(t, func(t *testing.T, m mode) {
		hs := serveHeld(t, m)
		resume := make(chan func(), 1)
		hs.setTrap(func(ctx *fasthttp.RequestCtx) { resume <- Suspend(ctx) })
		c := hs.dial()
		c.send(strings.Repeat(get("/"), 5) + "GET")
		end := <-resume
		c.wants(1, 1)
		hs.wantNoBuffersInUse()
		end()
		c.wants(2, 5)
		c.send(get("/")[3:])
		c.wants(6, 6)
	})
}

// Half a head behind plain requests holds no buffer, and a client that has closed its
// side gets all of its answers.
func TestRestOfHeld(t *testing.T) {
	runAdaptive(t, func(t *testing.T, m mode) {
		hs := serveHeld(t, m)
		c := hs.dial()
		next := get("/")
		c.send(strings.Repeat(next, 3) + next[:9])
		c.wants(1, 3)
		hs.wantNoBuffersInUse()
		c.send(next[9:] + next + get("/", "Other: head") + next)
		c.halfClose()
		c.wants(4, 7)
		c.wantEOF()
	})
}

// Far more pipelined requests than a receive buffer has room for, so that input
// comes to what is held already; by several clients at once, and for one of them a
// handler blocks.
func TestManyHeld(t *testing.T) {
	const clients, requests, rounds = 8, 500, 5
	runAdaptive(t, func(t *testing.T, m mode) {
		hs := serveHeld(t, m)
		for range rounds {
			entered, release := hs.blocks()
			conns := make([]*client, clients)
			for i := range conns {
				conns[i] = hs.dial()
			}
			end := hs.busy()
			for _, c := range conns {
				go c.Write([]byte(strings.Repeat(get("/"), requests)))
			}
			end()
			<-entered
			hs.wantNoBuffersInUse()
			release()
			for _, c := range conns {
				c.wants(1, requests)
			}
			hs.warm()
		}
	})
}

// The end of the client's side comes in the same turn as its requests.
func TestEOFBehindHeld(t *testing.T) {
	runAdaptive(t, func(t *testing.T, m mode) {
		hs := serveHeld(t, m)
		for range 20 {
			c := hs.dial()
			end := hs.busy()
			c.send(strings.Repeat(get("/"), 3))
			c.halfClose()
			end()
			c.wants(1, 3)
			c.wantEOF()
		}
	})
}

// busy has the loop do nothing until end is called, so that what comes meanwhile
// comes in one turn.
func (hs *heldServer) busy() (end func()) {
	entered, ended := make(chan struct{}), make(chan struct{})
	hs.engine().Loops()[0].Post(&conn.Task{Run: func(*conn.Loop) {
		close(entered)
		<-ended
	}})
	<-entered
	return func() { close(ended) }
}

// Another request replaces the head that is remembered, while one with that head
// waits for the end of the turn: it is answered like any other, though nothing else
// happens on the loop.
func TestHeadReplacedBehindHeld(t *testing.T) {
	runAdaptive(t, func(t *testing.T, m mode) {
		hs := serveHeld(t, m)
		c, d := hs.dial(), hs.dial()
		c.send(get("/"))
		c.wants(1, 1)
		for i := range maxMemoMisses - 1 {
			d.send(get("/", "N: "+itoa(i)))
			d.wants(i+1, i+1)
		}
		end := hs.busy()
		c.send(get("/"))
		d.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\n")
		end()
		c.wants(2, 2)
		d.send("x")
		d.wants(maxMemoMisses, maxMemoMisses)
	})
}

// A client sends its request and its end in the same turn: who waits for the request
// to be done is told.
func TestDoneWithEOFBehindHeld(t *testing.T) {
	runAdaptive(t, func(t *testing.T, m mode) {
		hs := serveHeld(t, m)
		c := hs.dial()
		c.send(get("/"))
		c.wants(1, 1)
		hs.setTrap(func(ctx *fasthttp.RequestCtx) {
			select {
			case <-ctx.Done():
			case <-time.After(patience):
				t.Error("Done was not closed")
			}
		})
		end := hs.busy()
		c.send(get("/"))
		c.halfClose()
		end()
		c.wants(2, 2)
		c.wantEOF()
	})
}

// A route begins to block when many of its requests are held: after two have had the
// loop taken over, the others go to goroutines.
func TestManyBlockAmongHeld(t *testing.T) {
	runAdaptive(t, func(t *testing.T, m mode) {
		var blocking atomic.Bool
		release := make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			if blocking.Load() && ctx.ConnRequestNum() == 2 {
				<-release
			}
			ctx.SetBodyString("ok")
		}}, WithLoops(1))
		ts.warm()
		hs := &heldServer{testServer: ts}
		clients := make([]*client, 30)
		for i := range clients {
			clients[i] = ts.dial()
			clients[i].send(get("/"))
			clients[i].want(200, "ok")
		}
		before := ts.takenOver()
		blocking.Store(true)
		end := hs.busy()
		for _, c := range clients {
			c.send(get("/"))
		}
		end()
		c := ts.dial()
		c.send(get("/other"))
		c.want(200, "ok")
		if n := ts.takenOver() - before; n > 5 {
			t.Errorf("the loop was taken over %d times", n)
		}
		close(release)
		for _, c := range clients {
			c.want(200, "ok")
		}
	})
}
