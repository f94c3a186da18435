//go:build linux

package httpcore

import (
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/conn"
)

// whereabouts serves "/", telling by threads whether the handler runs on the
// loop. With the field "Block" it first blocks for longer than any garbage
// collection.
type whereabouts struct {
	ts      *testServer
	c       *client
	thread  atomic.Int64 // of the last handler that did not block
	garbage int          // octets a request
	held    chan struct{}
	release chan struct{} // ends what the field "Hold" holds
}

func serveWhereabouts(t *testing.T, m mode, garbage int) *whereabouts {
	w := &whereabouts{garbage: garbage, held: make(chan struct{}), release: make(chan struct{})}
	w.ts = serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		if len(ctx.Request.Header.Peek("Block")) > 0 {
			time.Sleep(2 * time.Duration(collecting))
			return
		}
		if len(ctx.Request.Header.Peek("Hold")) > 0 {
			w.held <- struct{}{}
			<-w.release
			return
		}
		w.thread.Store(int64(unix.Gettid()))
		if w.garbage > 0 {
			runtime.KeepAlive(make([]byte, w.garbage))
		}
	}}, WithLoops(1))
	w.c = w.ts.dial()
	return w
}

// ask makes n requests, pipelined, and reports whether the last one was handled
// on the loop.
func (w *whereabouts) ask(n int) bool {
	w.ts.t.Helper()
	for ; n > 0; n -= 16 {
		w.c.send(strings.Repeat(get("/"), min(n, 16)))
		for range min(n, 16) {
			w.c.wantStatus(200)
		}
	}
	loop := make(chan int64, 1)
	w.ts.engine().Loops()[0].Post(&conn.Task{Run: func(*conn.Loop) { loop <- int64(unix.Gettid()) }})
	return w.thread.Load() == <-loop
}

// A route that proves quick comes to the loop, leaves it when it blocks, and
// comes back when it has been quick again for long enough.
func TestAdaptiveLearnsBothWays(t *testing.T) {
	runAdaptive(t, func(t *testing.T, m mode) {
		w := serveWhereabouts(t, m, 0)
		if w.ask(1) {
			t.Fatal("the first request of all is handled on the loop")
		}
		for range 2 {
			// More than it owes on a machine that is busy with other things.
			eventually(t, "it runs on the loop", func() bool { return w.ask(256) })
			// Two answers that take 20 ms do it, unless the machine is so busy that
			// they keep the loop: then not all are timed.
			eventually(t, "it leaves the loop", func() bool {
				w.c.send(get("/", "Block: 1"))
				w.c.wantStatus(200)
				return !w.ask(1)
			})
		}
	})
}

// A quick route whose handlers all block from now on, as when a database stands
// still, leaves the loop before the first of them has returned.
func TestAdaptiveLearnsFromWhatBlocks(t *testing.T) {
	runAdaptive(t, func(t *testing.T, m mode) {
		w := serveWhereabouts(t, m, 0)
		eventually(t, "it runs on the loop", func() bool { return w.ask(256) })
		var holding []*client
		for range 2 {
			c := w.ts.dial()
			c.send(get("/", "Hold: 1"))
			<-w.held
			holding = append(holding, c)
		}
		eventually(t, "it leaves the loop", func() bool { return !w.ask(1) })
		if w.ask(64) {
			t.Error("it is back on the loop")
		}
		close(w.release)
		for _, c := range holding {
			c.wantStatus(200)
		}
		eventually(t, "it comes back", func() bool { return w.ask(256) })
	})
}

// What the garbage collector does is not held against a quick route: through
// many collections it is handled on the loop.
func TestAdaptiveStaysOnTheLoopWithGarbage(t *testing.T) {
	runAdaptive(t, func(t *testing.T, m mode) {
		w := serveWhereabouts(t, m, 4<<10)
		const rounds = 60
		on := 0
		// Several tries: on a busy machine a quick handler may well take 10 ms.
		for range 5 {
			eventually(t, "it runs on the loop", func() bool { return w.ask(256) })
			on = 0
			collected := w.collections()
			for range rounds {
				if w.ask(64) {
					on++
				}
				runtime.GC()
			}
			if w.collections()-collected < rounds {
				t.Fatal("no collections")
			}
			if on == rounds {
				return
			}
		}
		t.Errorf("on the loop in %d of %d rounds", on, rounds)
	})
}

func (w *whereabouts) collections() uint32 {
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	return ms.NumGC
}
