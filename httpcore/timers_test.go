//go:build linux

package httpcore

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
)

const never = time.Hour

// paths serves each path by its handler, and echoes the others.
func paths(m map[string]fasthttp.RequestHandler) *fasthttp.Server {
	return &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		if h := m[string(ctx.Path())]; h != nil {
			h(ctx)
			return
		}
		echo(ctx)
	}}
}

// noTimers fails unless the loops have forgotten all timers.
func (ts *testServer) noTimers() {
	ts.t.Helper()
	eventually(ts.t, "no timers are left", func() bool {
		left := false
		for _, p := range ts.backend.(*loopBackend).protocols {
			done := make(chan struct{})
			p.loop.Post(&conn.Task{Run: func(*conn.Loop) { left = left || p.timed != nil; close(done) }})
			<-done
		}
		return !left
	})
}

func TestAfterAnswersLater(t *testing.T) {
	const d = 20 * time.Millisecond
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, paths(map[string]fasthttp.RequestHandler{
			"/later": func(ctx *fasthttp.RequestCtx) {
				begun := time.Now()
				resume := Suspend(ctx)
				After(ctx, d, func(err error) {
					if took := time.Since(begun); err != nil || took < d {
						t.Errorf("called with %v after %v", err, took)
					}
					ctx.SetBodyString("first, ")
					After(ctx, 0, func(error) { // the functions may set timers
						ctx.WriteString("second")
						resume()
					})
				})
			},
			"/before-suspend": func(ctx *fasthttp.RequestCtx) {
				var resume func()
				After(ctx, 0, func(error) { resume() })
				resume = Suspend(ctx)
			},
		}))
		c := ts.dial()
		for range 3 {
			c.send(get("/later") + get("/1"))
			ts.wantServes("/other", "GET /other||")
			c.want(200, "first, second")
			c.want(200, "GET /1||")
			c.send(get("/before-suspend"))
			c.want(200, "")
		}
		ts.noTimers()
	})
}

func TestEvery(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, paths(map[string]fasthttp.RequestHandler{
			"/every": func(ctx *fasthttp.RequestCtx) {
				resume := Suspend(ctx)
				n := 0
				var every *Timer
				every = Every(ctx, time.Millisecond, func(err error) {
					n++
					ctx.WriteString(itoa(n))
					if n == 2 {
						time.Sleep(5 * time.Millisecond) // what it misses is left out
					}
					if n == 4 {
						if !every.Stop() || every.Stop() {
							t.Error("Stop within the function: want true, then false")
						}
						After(ctx, 3*time.Millisecond, func(error) { resume() }) // another call would show
					}
				})
			},
		}))
		ts.wantServes("/every", "1234")
		ts.noTimers()
	})
}

// The functions of a request run neither beside its handler nor beside each other.
func TestTimerFunctionsRunOneByOne(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, paths(map[string]fasthttp.RequestHandler{
			"/": func(ctx *fasthttp.RequestCtx) {
				var busy atomic.Bool
				enter := func() {
					if busy.Swap(true) {
						t.Error("two at once")
					}
				}
				enter()
				resume := Suspend(ctx)
				left := 20
				for i := range left {
					After(ctx, time.Duration(i%3)*100*time.Microsecond, func(error) {
						enter()
						time.Sleep(50 * time.Microsecond)
						busy.Store(false)
						if left--; left == 0 {
							resume()
						}
					})
				}
				time.Sleep(2 * time.Millisecond)
				busy.Store(false)
			},
		}))
		ts.wantServes("/", "")
	})
}

func TestTimersOfAnAnsweredRequestEnd(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		kept := make(chan *Timer, 2)
		called := func(error) { t.Error("called after the answer") }
		ts := serve(t, m, paths(map[string]fasthttp.RequestHandler{
			"/drop": func(ctx *fasthttp.RequestCtx) { kept <- After(ctx, 5*time.Millisecond, called) },
			"/resume": func(ctx *fasthttp.RequestCtx) {
				kept <- Every(ctx, 5*time.Millisecond, called)
				Suspend(ctx)()
			},
			"/wait": func(ctx *fasthttp.RequestCtx) {
				resume := Suspend(ctx)
				After(ctx, 20*time.Millisecond, func(error) { resume() })
			},
			"/panic": func(ctx *fasthttp.RequestCtx) {
				After(ctx, 0, called)
				Suspend(ctx)
				panic("on purpose")
			},
		}))
		for _, path := range []string{"/drop", "/resume"} {
			ts.wantServes(path, "")
			if (<-kept).Stop() {
				t.Error("Stop found something to stop after the answer")
			}
		}
		if status, _ := ts.get("/panic"); status != 500 {
			t.Errorf("status %d after a panic", status)
		}
		ts.wantServes("/wait", "") // their time has passed by then
		ts.noTimers()
	})
}

// The client goes: the functions are called at once, and told so.
func TestTimersWhenTheClientGoes(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		set, got := make(chan struct{}), make(chan error, 4)
		ts := serve(t, m, paths(map[string]fasthttp.RequestHandler{
			"/wait": func(ctx *fasthttp.RequestCtx) {
				resume := Suspend(ctx)
				var stopped *Timer
				After(ctx, never, func(err error) {
					got <- err
					stopped.Stop() // which has been cancelled, and is not called any more
				})
				stopped = After(ctx, never, func(error) { t.Error("a stopped one is called") })
				Every(ctx, never, func(err error) {
					got <- err
					After(ctx, never, func(err error) { got <- err; resume() })
				})
				close(set)
			},
		}))
		c := ts.dial()
		c.send(get("/wait") + get("/2"))
		<-set
		c.reset()
		for range 3 {
			if err := <-got; !errors.Is(err, context.Canceled) {
				t.Errorf("called with %v", err)
			}
		}
		ts.noTimers()
		ts.wantNoConns()
		ts.wantServes("/1", "GET /1||")
	})
}

// A shutdown has the functions called, whose answers go out.
func TestTimersAtShutdown(t *testing.T) {
	for name, opts := range map[string][]Option{"": nil, "WithoutDisconnectCancel": {WithoutDisconnectCancel()}} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, m mode) {
				set, orphaned := make(chan struct{}, 2), make(chan error, 1)
				ts := serve(t, m, paths(map[string]fasthttp.RequestHandler{
					"/wait": func(ctx *fasthttp.RequestCtx) {
						resume := Suspend(ctx)
						After(ctx, never, func(err error) {
							ctx.SetBodyString("goodbye")
							resume()
						})
						set <- struct{}{}
					},
					"/orphan": func(ctx *fasthttp.RequestCtx) {
						Suspend(ctx)
						After(ctx, never, func(err error) { orphaned <- err })
						set <- struct{}{}
					},
				}), opts...)
				gone := ts.dial()
				gone.send(get("/orphan"))
				<-set
				gone.reset()
				ts.wantNoConns()
				c := ts.dial()
				c.send(get("/wait"))
				<-set
				ended := ts.beginShutdown()
				c.want(200, "goodbye")
				c.Close() // else the server lingers
				if err := <-ended; err != nil {
					t.Fatal(err)
				}
				if err := <-orphaned; err == nil {
					t.Error("the function of a client that has gone was called without an error")
				}
			})
		})
	}
}

// What owns a suspended request may set timers, also after the server's end.
func TestTimersOfTheOwner(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ch := make(chan suspended, 1)
		ts := serve(t, m, &fasthttp.Server{Handler: suspending(ch)})
		c := ts.dial()
		c.send(get("/wait"))
		s := <-ch
		After(s.ctx, time.Millisecond, func(error) {
			s.ctx.SetBodyString("by a timer")
			s.resume()
		})
		c.want(200, "by a timer")
		c.send(get("/wait"))
		s = <-ch
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = ts.ShutdownWithContext(ctx)
		got := make(chan error)
		After(s.ctx, never, func(err error) { got <- err })
		if err := <-got; err == nil {
			t.Error("no error after the server's end")
		}
	})
}

func TestFailingTimerFunctions(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		fail := func(f func()) fasthttp.RequestHandler {
			return func(ctx *fasthttp.RequestCtx) {
				Suspend(ctx)
				After(ctx, 0, func(error) { f() })
				After(ctx, 0, func(error) { t.Error("another function is called after the answer") })
			}
		}
		ts := serve(t, m, paths(map[string]fasthttp.RequestHandler{
			"/panic": fail(func() { panic("on purpose") }),
			"/exit":  fail(runtime.Goexit),
		}))
		for range 3 {
			for _, path := range []string{"/panic", "/exit"} {
				c := ts.dial()
				c.send(get(path))
				c.wantStatus(500)
				c.wantEOF()
			}
		}
		if !ts.log.contains("panic in the function of a timer: on purpose") {
			t.Errorf("the log has %q", ts.log)
		}
		ts.noTimers()
	})
}

// A function that blocks holds up only its own request, and many timers cost
// no goroutine.
func TestManyTimers(t *testing.T) {
	n := 3000
	if testing.Short() {
		n = 500
	}
	run(t, func(t *testing.T, m mode) {
		release, blocked := make(chan struct{}), make(chan struct{}, 1)
		var called atomic.Int64
		ts := serve(t, m, paths(map[string]fasthttp.RequestHandler{
			"/block": func(ctx *fasthttp.RequestCtx) {
				resume := Suspend(ctx)
				After(ctx, 0, func(error) { blocked <- struct{}{}; <-release; resume() })
			},
			"/many": func(ctx *fasthttp.RequestCtx) {
				resume := Suspend(ctx)
				for i := range n {
					timer := After(ctx, time.Duration(1+i*7919%n)*time.Microsecond, func(error) { called.Add(1) })
					if i%3 == 0 && timer.Stop() {
						called.Add(1)
					}
				}
				After(ctx, time.Duration(n+1)*time.Microsecond, func(error) { resume() })
			},
		}))
		b := ts.dial()
		b.send(get("/block"))
		<-blocked
		before := runtime.NumGoroutine()
		var wg sync.WaitGroup
		for range 4 {
			c := ts.dial()
			wg.Go(func() { c.want(200, "") })
			c.send(get("/many"))
		}
		wg.Wait()
		if got := called.Load(); got != int64(4*n) {
			t.Errorf("%d functions were called or stopped, want %d", got, 4*n)
		}
		if grown := runtime.NumGoroutine() - before; grown > 100 {
			t.Errorf("%d goroutines more", grown)
		}
		close(release)
		b.want(200, "")
		ts.noTimers()
	})
}

func TestEveryWithoutAPeriod(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("accepted")
		}
	}()
	Every(&fasthttp.RequestCtx{}, 0, func(error) {})
}
