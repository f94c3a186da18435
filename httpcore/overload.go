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
		pl.refused++
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
	sample [1]metrics.Sample // of who has waking, as is roomy
	roomy  int64             // when there was no crowd
	later  atomic.Bool       // the timer of signalLater is armed; what follows is its own
	head   uint64            // of the ring, when it looked last
	since  int64             // when it found it there first, or forced a worker
	bound  int64             // how long it may stay there
	force  atomic.Bool       // one more worker, crowd or not
}

const (
	firstBound = int64(10 * time.Millisecond) // without any job being taken up, before another worker starts
	lastBound  = 16 * firstBound              // after several such
)

// roomyFor is how long it is believed that there is no crowd: to look costs about
// a microsecond.
const roomyFor = int64(100 * time.Microsecond)

// crowded reports whether goroutines queue for the processors. For who has waking.
func (pl *pool) crowded() bool {
	if pl.workers.Load()-pl.idle.Load() < pl.procs {
		return false
	}
	c, now := &pl.crowd, clock()
	if now-c.roomy < roomyFor {
		return false
	}
	if runnable(&c.sample) > uint64(2*pl.procs) {
		return !c.force.Swap(false)
	}
	c.roomy = now
	return false
}

// runnable returns how many goroutines wait for a processor.
func runnable(s *[1]metrics.Sample) uint64 {
	s[0].Name = "/sched/goroutines/runnable:goroutines"
	if metrics.Read(s[:]); s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return s[0].Value.Uint64()
}

// signalLater looks again in a moment: those who can run now may all block.
func (pl *pool) signalLater() {
	if pl.crowd.later.CompareAndSwap(false, true) {
		time.AfterFunc(time.Millisecond, pl.lookAgain)
	}
}

// lookAgain signals, and forces a worker if it was in vain for long: those who
// crowd may be none of the workers, while all of these block.
func (pl *pool) lookAgain() {
	c, now := &pl.crowd, clock()
	if head := pl.ring.head.Load(); head != c.head || c.bound == 0 {
		c.head, c.since, c.bound = head, now, firstBound
	} else if now-c.since > c.bound {
		c.since, c.bound = now, min(2*c.bound, lastBound)
		c.force.Store(true)
	}
	c.later.Store(false)
	if !pl.ring.empty() {
		pl.signal()
	}
}
