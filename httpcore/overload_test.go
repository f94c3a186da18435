//go:build linux

package httpcore

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// blocker blocks requests for "/block" until it is released, and echoes others.
type blocker struct {
	entered chan struct{}
	release chan struct{}
	running atomic.Int64
	most    atomic.Int64
}

func newBlocker() *blocker {
	return &blocker{entered: make(chan struct{}, 1000), release: make(chan struct{})}
}

func (b *blocker) handle(ctx *fasthttp.RequestCtx) {
	n := b.running.Add(1)
	defer b.running.Add(-1)
	for most := b.most.Load(); n > most && !b.most.CompareAndSwap(most, n); most = b.most.Load() {
	}
	if string(ctx.Path()) == "/block" {
		b.entered <- struct{}{}
		<-b.release
	}
	echo(ctx)
}

// At the limit a request is refused, and not before it.
func TestMaxWaiting(t *testing.T) {
	for _, waiting := range []int{0, 3} {
		t.Run(itoa(waiting), func(t *testing.T) {
			runPooled(t, func(t *testing.T, m mode) {
				const running = 2
				b := newBlocker()
				ts := serve(t, m, &fasthttp.Server{Handler: b.handle}, WithLoops(1),
					WithMaxHandlers(running), WithMaxWaiting(waiting))
				var clients []*client
				for i := range running + waiting {
					c := ts.dial()
					c.send(get("/block"))
					clients = append(clients, c)
					if i < running {
						<-b.entered
					} else {
						eventually(t, "it waits", func() bool { return ts.jobs() == i+1 })
					}
				}
				over := ts.dial()
				for range 3 { // the connection stays open
					over.send(get("/1") + request("POST", "/2", "body"))
					for range 2 {
						if r := over.wantStatus(503); r.Header.Get("Retry-After") != "1" || r.Close {
							t.Fatalf("Retry-After %q, close %v", r.Header.Get("Retry-After"), r.Close)
						}
					}
				}
				close(b.release)
				for _, c := range clients {
					c.want(200, "GET /block||")
				}
				over.send(get("/3"))
				over.want(200, "GET /3||")
				if n := b.most.Load(); n != running {
					t.Errorf("%d handlers ran at once, want %d", n, running)
				}
				if !ts.log.contains("refusing requests") {
					t.Error("nothing is logged")
				}
			})
		})
	}
}

// jobs is how many jobs of the only loop run or wait.
func (ts *testServer) jobs() (n int) {
	ts.onPools(func(pl *pool) { n = int(pl.places.taken - pl.places.freed.Load()) })
	return n
}

// onPools runs f on each loop with its pool.
func (ts *testServer) onPools(f func(*pool)) {
	ts.onProtocols(func(p *protocol) { f(p.pool) })
}

// Without a limit on those that wait, all are served, and no more handlers run
// than may; pipelined requests behind one that waits stay in the socket.
func TestMaxHandlersWait(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		const running, n = 3, 60
		b := newBlocker()
		ts := serve(t, m, &fasthttp.Server{Handler: b.handle}, WithLoops(1), WithMaxHandlers(running))
		var clients []*client
		for range n {
			c := ts.dial()
			c.send(get("/block") + get("/2"))
			clients = append(clients, c)
		}
		for range running {
			<-b.entered
		}
		close(b.release)
		for _, c := range clients {
			c.want(200, "GET /block||")
			c.want(200, "GET /2||")
		}
		most := int64(running)
		if m.dispatch == Adaptive {
			most++ // on the loop, once they have proved quick
		}
		if n := b.most.Load(); n > most {
			t.Errorf("%d handlers ran at once, want %d at most", n, most)
		}
	})
}

// Places come back however a handler ends: by a panic, Goexit, suspension, or
// without a client.
func TestPlacesComeBack(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			time.Sleep(2 * time.Millisecond) // never on the loop
			switch string(ctx.Path()) {
			case "/panic":
				panic("on purpose")
			case "/exit":
				runtime.Goexit()
			case "/suspend":
				time.AfterFunc(time.Millisecond, Suspend(ctx))
			}
		}}, WithLoops(1), WithMaxHandlers(2), WithMaxWaiting(8))
		for range 10 {
			for _, path := range []string{"/", "/panic", "/exit", "/suspend"} {
				c, gone := ts.dial(), ts.dial()
				gone.send(get(path) + get("/"))
				gone.reset()
				c.send(get(path) + get("/"))
				if r := c.response("GET"); r.StatusCode == 503 {
					t.Fatalf("%s is refused", path)
				}
				c.Close()
			}
		}
		ts.wantNoConns()
		eventually(t, "all places are free", func() bool { return ts.jobs() == 0 })
	})
}

// Ten times as many requests as there is room for, of handlers that wait and of
// handlers that burn: each is answered, by 200, or by 503 if the others do not
// wait, quick ones are served meanwhile, and afterwards all is well.
func TestOverload(t *testing.T) {
	const clients, rounds = 60, 6
	ways := map[string]func(){
		"sleep": func() { time.Sleep(time.Millisecond) },
		"burn": func() {
			for begun := time.Now(); time.Since(begun) < time.Millisecond; { //nolint:revive // burns
			}
		},
	}
	for name, waiting := range map[string]int{"refuse": 6, "wait": -1} {
		for way, slow := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				runPooled(t, func(t *testing.T, m mode) {
					ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
						if string(ctx.Path()) == "/slow" {
							slow()
						}
					}}, WithLoops(1), WithMaxHandlers(4), WithMaxWaiting(waiting))
					served, refused, too := ts.flood(clients, rounds)
					if served == 0 || served+refused != clients*rounds || (refused > 0) != (waiting >= 0) {
						t.Errorf("%d served and %d refused of %d", served, refused, clients*rounds)
					}
					if n := ts.Stats(t.Context())[0].Refused; n != uint64(refused+too) {
						t.Errorf("%d refusals are counted, of %d", n, refused+too)
					}
					ts.wantServes("/slow", "")
					if n := ts.jobs(); n != 0 {
						t.Errorf("%d jobs are left", n)
					}
				})
			})
		}
	}
}

// flood has so many clients make requests for "/slow", so many each, and one for
// "/quick" all along. It returns how many of the slow ones were answered 200 and 503, and how
// many of the quick ones 503.
func (ts *testServer) flood(clients, rounds int) (served, refused, too int64) {
	var wg sync.WaitGroup
	var ok, busy atomic.Int64
	errs := make(chan error, clients+1)
	ask := func(c *client, path string) error {
		if _, err := c.Write([]byte(get(path))); err != nil {
			return err
		}
		r, err := c.tryResponse("GET")
		switch {
		case err != nil:
			return err
		case r.StatusCode != 200 && r.StatusCode != 503:
			return fmt.Errorf("status %d", r.StatusCode)
		case path == "/quick" && r.StatusCode == 503:
			too++ // there is but one of these
		case path == "/quick":
		case r.StatusCode == 200:
			ok.Add(1)
		default:
			busy.Add(1)
		}
		return nil
	}
	for range clients {
		c := ts.dial()
		wg.Go(func() {
			for range rounds {
				if err := ask(c, "/slow"); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	var err error
	for c := ts.dial(); err == nil; {
		select {
		case <-ended:
			close(errs)
			for err := range errs {
				ts.t.Error(err)
			}
			return ok.Load(), busy.Load(), too
		default:
			err = ask(c, "/quick")
		}
	}
	ts.t.Fatalf("a quick request: %v", err)
	return 0, 0, 0
}

// Handlers that want the processor do not multiply: those that are ready to run
// are few, and the others wait.
func TestBusyHandlersDoNotMultiply(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		const n = 300
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			for begun := time.Now(); time.Since(begun) < 3*time.Millisecond; { //nolint:revive // burns
			}
			echo(ctx)
		}}, WithLoops(1))
		var clients []*client
		for range n {
			c := ts.dial()
			c.send(get("/"))
			clients = append(clients, c)
		}
		for _, c := range clients {
			c.want(200, "GET /||")
		}
		most := int64(0)
		ts.onPools(func(pl *pool) { most = pl.workers.Load() })
		if most > n/4 {
			t.Errorf("%d workers for %d handlers that burn", most, n)
		}
	})
}

// Handlers that wait for each other all begin, although goroutines that are none
// of the pool's want all the processor time there is.
func TestBlockedHandlersBesideHogs(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		const n, hogs = 4, 4
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		var all sync.WaitGroup
		all.Add(n)
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			all.Done()
			all.Wait() // for the others to have begun
			echo(ctx)
		}}, WithLoops(1))
		var stop atomic.Bool
		defer stop.Store(true)
		for range hogs {
			go func() {
				for !stop.Load() { //nolint:revive // burns
				}
			}()
		}
		var clients []*client
		for range n {
			c := ts.dial()
			c.send(get("/"))
			clients = append(clients, c)
		}
		for _, c := range clients {
			c.want(200, "GET /||")
		}
	})
}
