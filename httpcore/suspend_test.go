//go:build linux

package httpcore

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// suspended is a request on which the handler has called Suspend.
type suspended struct {
	ctx    *fasthttp.RequestCtx
	resume func()
}

// suspending returns a handler that suspends "/wait" and echoes the rest.
func suspending(ch chan<- suspended) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		switch string(ctx.Path()) {
		case "/wait":
			resume := Suspend(ctx)
			ch <- suspended{ctx, resume}
		case "/at-once":
			resume := Suspend(ctx)
			ctx.SetBodyString("at once")
			resume()
			resume()
		case "/panic":
			Suspend(ctx)
			panic("on purpose")
		default:
			echo(ctx)
		}
	}
}

func TestSuspend(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ch := make(chan suspended, 1)
		ts := serve(t, m, &fasthttp.Server{Handler: suspending(ch)}, WithLoops(1))
		c := ts.dial()
		c.send(get("/1") + get("/wait") + get("/2") + get("/at-once") + get("/3"))
		c.want(200, "GET /1||")
		s := <-ch
		ts.wantServes("/other", "GET /other||") // the one loop serves others
		s.ctx.SetBodyString("late")
		s.resume()
		s.resume() // does nothing
		c.want(200, "late")
		c.want(200, "GET /2||")
		c.want(200, "at once")
		c.want(200, "GET /3||")
		c.send(get("/4"))
		c.want(200, "GET /4||")
		c.send(get("/panic"))
		c.wantStatus(500)
		c.wantEOF()
	})
}

// What is behind a suspended request that closes the connection is not handled.
func TestSuspendThenClose(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ch := make(chan suspended, 1)
		ts := serve(t, m, &fasthttp.Server{Handler: suspending(ch)})
		c := ts.dial()
		c.send(get("/wait") + get("/2"))
		s := <-ch
		s.ctx.SetBodyString("last")
		s.ctx.SetConnectionClose()
		s.resume()
		c.want(200, "last")
		c.wantEOF()
	})
}

func TestResumeAfterTheClientHasGone(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ch := make(chan suspended, 1)
		ts := serve(t, m, &fasthttp.Server{Handler: suspending(ch)})
		for range 10 {
			c := ts.dial()
			c.send(get("/wait") + get("/2"))
			s := <-ch
			c.reset()
			<-s.ctx.Done()
			ts.wantNoConns()
			s.ctx.SetBodyString("nobody reads this")
			s.resume()
		}
		ts.wantServes("/1", "GET /1||")
	})
}

func TestShutdownWaitsForTheSuspended(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ch := make(chan suspended, 2)
		ts := serve(t, m, &fasthttp.Server{Handler: suspending(ch)})
		c := ts.dial()
		c.send(get("/wait"))
		s := <-ch
		ended := ts.beginShutdown()
		s.ctx.SetBodyString("in time")
		s.resume()
		c.want(200, "in time")
		c.Close() // else the server lingers
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

func TestResumeAfterShutdown(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ch := make(chan suspended, 2)
		ts := serve(t, m, &fasthttp.Server{Handler: suspending(ch)})
		c := ts.dial()
		c.send(get("/wait"))
		s := <-ch
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = ts.ShutdownWithContext(ctx)
		s.ctx.SetBodyString("too late")
		s.resume()
	})
}

// Many requests are suspended at once, without a goroutine each, and resumed
// from several goroutines.
func TestManySuspended(t *testing.T) {
	n := 2000
	if testing.Short() {
		n = 300
	}
	run(t, func(t *testing.T, m mode) {
		ch := make(chan suspended, n)
		ts := serve(t, m, &fasthttp.Server{Handler: suspending(ch)})
		clients := make([]*client, n)
		before := runtime.NumGoroutine()
		for i := range clients {
			clients[i] = ts.dial()
			clients[i].send(get("/wait", fmt.Sprintf("N: %d", i)))
		}
		all := make([]suspended, n)
		for i := range all {
			all[i] = <-ch
		}
		if grown := runtime.NumGoroutine() - before; grown > n/4 {
			t.Errorf("%d suspended requests have %d goroutines", n, grown)
		}
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for _, s := range all[i*n/4 : (i+1)*n/4] {
					s.ctx.SetBody(s.ctx.Request.Header.Peek("N"))
					s.resume()
				}
			}()
		}
		for i, c := range clients {
			c.want(200, itoa(i))
			c.Close()
		}
		wg.Wait()
	})
}

func ExampleSuspend() {
	server := New(&fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		resume := Suspend(ctx)
		time.AfterFunc(10*time.Millisecond, func() { // or when a completion comes
			ctx.SetBodyString("Hello, later!")
			resume()
		})
	}})
	fmt.Println(server != nil)
	// Output: true
}

func TestSuspendOfAForeignContext(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("accepted")
		}
	}()
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, nil, nil)
	Suspend(&ctx)
}
