//go:build linux

package httpcore

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
)

// withProcs runs f with one processor, where the loop steps back for its
// workers, and with several.
func withProcs(t *testing.T, f func(t *testing.T)) {
	for _, n := range []int{1, 4} {
		t.Run("GOMAXPROCS "+itoa(n), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
			f(t)
		})
	}
}

// Handlers that block hold nobody up: all of them run at once.
func TestBlockedHandlersHoldNobodyUp(t *testing.T) {
	withProcs(t, func(t *testing.T) {
		runPooled(t, func(t *testing.T, m mode) {
			const n = 300
			var all sync.WaitGroup
			all.Add(n)
			ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
				if string(ctx.Path()) == "/block" {
					all.Done()
					all.Wait() // for the others to have begun
				}
				echo(ctx)
			}})
			var clients []*client
			for range n {
				c := ts.dial()
				c.send(get("/block"))
				clients = append(clients, c)
			}
			for _, c := range clients {
				c.want(200, "GET /block||")
			}
			ts.wantServes("/1", "GET /1||")
		})
	})
}

// A request that is taken up after the turn has handed over its requests gets
// a worker nevertheless, although the loop goes to sleep.
func TestRequestLateInTheTurnGetsAWorker(t *testing.T) {
	withProcs(t, func(t *testing.T) {
		runPooled(t, func(t *testing.T, m mode) {
			ts := serve(t, m, &fasthttp.Server{Handler: echo})
			c := ts.dial()
			for range 20 {
				c.send(get("/1")) // workers there are
				c.want(200, "GET /1||")
				time.Sleep(time.Millisecond) // and they have parked
				ts.engine().Loops()[0].Post(&conn.Task{Run: func(l *conn.Loop) {
					// What a task posts runs after TurnEnd.
					l.Post(&conn.Task{Run: func(l *conn.Loop) {
						l.Each(func(c *conn.Conn) { c.State.(*session).data([]byte(get("/late"))) })
					}})
				}})
				c.want(200, "GET /late||")
			}
		})
	})
}

// A server at rest ends its workers.
func TestIdleWorkersEnd(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{MaxIdleWorkerDuration: 10 * time.Millisecond, Handler: func(ctx *fasthttp.RequestCtx) {
			runtime.Gosched()
			echo(ctx)
		}})
		workers := func() (n int64) {
			for _, p := range ts.backend.(*loopBackend).protocols {
				n += p.pool.workers.Load()
			}
			return n
		}
		for range 3 {
			ts.wantServes("/1", "GET /1||")
			if workers() == 0 {
				continue // it was faster
			}
			eventually(t, "the workers have ended", func() bool { return workers() == 0 })
		}
		ts.wantServes("/1", "GET /1||")
	})
}

// With a single place, a worker may end just when the next request comes.
func TestSinglePlaceForAWorker(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo, Concurrency: 1, MaxIdleWorkerDuration: time.Microsecond})
		c := ts.dial()
		for range 3000 {
			c.send(get("/1"))
			c.want(200, "GET /1||")
		}
	})
}

func TestJobRing(t *testing.T) {
	var r jobRing
	r.init()
	if r.pop() != nil || !r.empty() {
		t.Fatal("a new ring is not empty")
	}
	const n = 3 * jobRingSize
	all := make([]exchange, n)
	var wg sync.WaitGroup
	got := make(chan *exchange, n)
	for range 4 {
		wg.Go(func() {
			for len(got) < n {
				if x := r.pop(); x != nil {
					got <- x
				} else {
					runtime.Gosched()
				}
			}
		})
	}
	for i := range all {
		for !r.push(&all[i]) {
			runtime.Gosched()
		}
	}
	wg.Wait()
	seen := map[*exchange]bool{}
	for range n {
		seen[<-got] = true
	}
	if len(seen) != n || !r.empty() {
		t.Fatalf("%d of %d jobs came out", len(seen), n)
	}
	for i := range jobRingSize {
		if !r.push(&all[i]) {
			t.Fatalf("the ring is full at %d", i)
		}
	}
	if r.push(&all[0]) {
		t.Fatal("a full ring takes more")
	}
	for i := range jobRingSize {
		if r.pop() != &all[i] {
			t.Fatalf("job %d is out of order", i)
		}
	}
}
