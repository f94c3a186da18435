//go:build linux

package httpcore

import (
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// places bounds the requests that wait for a goroutine of one pool or have one
// (WithMaxHandlers, WithMaxWaiting). A job takes a place on the loop and gives
// it back on the goroutine; a chain of pipelined requests is one job.
type places struct {
	total uint64 // 0: no limit
	taken uint64 // ever; the loop's
	freed atomic.Uint64
}

// take reports whether there was a place.
func (pc *places) take() bool {
	if pc.total == 0 {
		return true
	}
	if pc.taken-pc.freed.Load() >= pc.total {
		return false
	}
	pc.taken++
	return true
}

func (pc *places) free() {
	if pc.total > 0 {
		pc.freed.Add(1)
	}
}

// refuse answers x, and what is chained to it, with 503 (RFC 9110 section
// 15.6.4). The connection stays open: a new one would cost both sides more.
func (pl *pool) refuse(x *exchange) {
	for x != nil {
		next := x.chain
		x.ctx.Error("The server is busy", fasthttp.StatusServiceUnavailable)
		x.ctx.Response.Header.Set(fasthttp.HeaderRetryAfter, "1")
		x.state, x.chain = exchangeDone, nil
		x = next
	}
	sh := pl.p.shared
	now, last := time.Now().Unix(), sh.busyLoggedAt.Load()
	if now-last >= logEvery && sh.busyLoggedAt.CompareAndSwap(last, now) {
		sh.cfg.logger.Printf("httpcore: refusing requests: %d handlers run, %d more wait", pl.maxWorkers, pl.places.total-uint64(pl.maxWorkers))
	}
}

// crowd tells whether processor time is what is lacking. Another worker would be
// of no use then, and each one that can run takes its slice (10 ms) before the
// loop has a processor again: with thousands of them the loop would stand still.
type crowd struct {
	sample [1]metrics.Sample // of who has waking
	later  atomic.Bool
}

// crowded reports whether goroutines queue for the processors. For who has waking.
func (pl *pool) crowded() bool {
	if pl.workers.Load()-pl.idle.Load() < 2*pl.procs {
		return false
	}
	s := pl.crowd.sample[:]
	s[0].Name = "/sched/goroutines/runnable:goroutines"
	metrics.Read(s)
	return s[0].Value.Kind() == metrics.KindUint64 && s[0].Value.Uint64() > uint64(3*pl.procs)
}

// signalLater looks again in a moment: those who can run now may all block.
func (pl *pool) signalLater() {
	if pl.crowd.later.CompareAndSwap(false, true) {
		time.AfterFunc(time.Millisecond, func() {
			pl.crowd.later.Store(false)
			if !pl.ring.empty() {
				pl.signal()
			}
		})
	}
}
