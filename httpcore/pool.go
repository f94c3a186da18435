//go:build linux

package httpcore

import (
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/ringcore/ringcore/conn"
)

// pool runs the handlers of one loop on goroutines. A turn's requests are
// handed over together; workers take them one by one, so that a handler that
// blocks holds up nobody else: while a job waits in the ring, a worker is on
// its way to it.
type pool struct {
	p       *protocol
	ring    jobRing
	backlog []*exchange // what the ring has no room for; the loop's
	fresh   bool        // jobs were submitted in this turn; the loop's
	endedAt int64       // the turn whose turnEnd has been; the loop's
	yields  bool        // one processor only: workers run while the loop yields
	places  places
	refused uint64 // requests, for want of a place; the loop's
	crowd   crowd
	ready   [1]metrics.Sample // the loop's

	maxWorkers, procs int64

	adaptive bool // with Adaptive dispatch, and all of these are the loop's
	routes   routes
	quick    quickList
	held     heldList
	serving  *session  // whose held input is being taken
	running  *route    // of the handler that runs on the loop, or was the last to
	losses   uint64    // how often the loop had been taken over when last looked
	nudge    conn.Task // brings the next turn about
	nudged   bool

	waking  atomic.Bool  // a worker was woken or started and has not looked yet
	spread  atomic.Bool  // who takes a job wakes a worker for the next one
	idle    atomic.Int64 // parked workers that nobody has woken
	workers atomic.Int64 // all workers
	wake    chan bool    // true: look for work; false: end

	tidying atomic.Bool // the timer that ends idle workers is armed
	stopped atomic.Bool
}

// maxRetired is how many idle workers are ended at once.
const maxRetired = 512

func newPool(p *protocol) *pool {
	pl := &pool{p: p, wake: make(chan bool, maxRetired+1)}
	pl.ring.init()
	pl.maxWorkers, pl.places.total = p.cfg.poolLimits()
	pl.procs = int64(runtime.GOMAXPROCS(0))
	pl.yields = pl.procs == 1
	pl.adaptive = p.cfg.dispatch == Adaptive
	pl.spread.Store(!pl.yields || pl.adaptive)
	pl.routes.init()
	pl.nudge.Run = func(l *conn.Loop) { // before the end of the next turn, or still of this one
		if pl.nudged = pl.quick.first != nil; pl.nudged {
			l.Post(&pl.nudge)
		}
	}
	return pl
}

// submit queues x, and the requests that wait behind it in its session, as one
// job. When it is false they are done already: there is no place for them.
func (pl *pool) submit(x *exchange) bool {
	n := 0
	for y := x; y != nil; y = y.next {
		y.state, y.chain = exchangeRunning, y.next
		n++
	}
	late := pl.endedAt == pl.p.loop.Now() // for this turn's turnEnd; the loop may sleep before the next
	if pl.isQuick(x) {
		pl.quick.add(x)
		pl.count(n)
		if late && !pl.nudged {
			pl.nudged = true
			pl.p.loop.Post(&pl.nudge)
		}
		return true
	}
	if !pl.places.take() {
		pl.refuse(x)
		return false
	}
	pl.fresh = true
	if len(pl.backlog) > 0 || !pl.ring.push(x) {
		pl.backlog = append(pl.backlog, x)
	}
	if late {
		pl.spread.Store(true)
		pl.signal()
	}
	return true
}

const (
	maxYields = 16        // how often the loop steps back for its workers in one turn
	slice     = 1_000_000 // ns, how long it does so, or a worker runs, before others get a chance
)

// turnEnd sees to it that what was submitted gets a worker, and runs what is
// quick here. It reports whether the loop is still this goroutine's.
func (pl *pool) turnEnd() bool {
	pl.handOut()
	return pl.runQuick() && pl.runHeld()
}

func (pl *pool) handOut() {
	pl.endedAt = pl.p.loop.Now()
	if n := pl.p.loop.TakenOver(); n != pl.losses {
		pl.losses = n
		pl.running.blocked(pl.endedAt)
	}
	if pl.serving != nil { // and has been left behind
		pl.serving.release()
		pl.serving = nil
	}
	if pl.fresh || len(pl.backlog) > 0 {
		pl.fresh = false
		pl.handOutFresh()
	}
	if pl.yields && pl.workers.Load() > pl.idle.Load() && runnable(&pl.ready) > 0 {
		pl.p.loop.StepBack()
	}
}

func (pl *pool) handOutFresh() {
	n := 0
	for n < len(pl.backlog) && pl.ring.push(pl.backlog[n]) {
		n++
	}
	if n > 0 {
		m := copy(pl.backlog, pl.backlog[n:])
		clear(pl.backlog[m:])
		pl.backlog = pl.backlog[:m]
	}
	pl.signal()
	if !pl.yields || pl.adaptive { // what is quick does not wait for workers
		return
	}
	// The only processor is ours: step back until the workers have finished or
	// block. What they finish joins this turn, without a wake-up.
	pl.spread.Store(false)
	begun := clock()
	for range maxYields {
		runtime.Gosched()
		if pl.ring.empty() {
			return
		}
		if clock()-begun > slice {
			break
		}
		pl.signal()
	}
	pl.spread.Store(true) // many block: the loop has other things to do
	pl.signal()
}

// signal wakes or starts a worker unless one is on its way already.
func (pl *pool) signal() {
	for pl.waking.CompareAndSwap(false, true) {
		if pl.crowded() {
			pl.waking.Store(false)
			pl.signalLater()
			return
		}
		if pl.claim() {
			pl.wake <- true // does not block: see tidy
			return
		}
		if pl.workers.Add(1) <= pl.maxWorkers {
			w := worker{pl: pl}
			go w.work(nil)
			pl.scheduleTidy()
			return
		}
		pl.workers.Add(-1)
		pl.waking.Store(false)
		if pl.idle.Load() == 0 && pl.workers.Load() >= pl.maxWorkers {
			return // each of them looks for work when it has finished
		}
	}
}

// claim takes one parked worker out of the count, to be woken by the caller.
func (pl *pool) claim() bool {
	for n := pl.idle.Load(); n > 0; n = pl.idle.Load() {
		if pl.idle.CompareAndSwap(n, n-1) {
			return true
		}
	}
	return false
}

// worker is a goroutine of the pool.
type worker struct {
	pl     *pool
	cur    *exchange // being handled
	placed bool      // what it runs has a place, to be given back
}

// leave gives the job's place back.
func (w *worker) leave() {
	if w.placed {
		w.placed = false
		w.pl.places.free()
	}
}

// work runs jobs, first (if any) before those of the ring.
func (w *worker) work(first *exchange) {
	pl := w.pl
	defer w.exit()
	if first != nil {
		w.runChain(first, false)
	}
	begun := int64(0) // since when it has run without giving way, 0: not at all
	for woken := first == nil; ; {
		x := pl.ring.pop()
		if woken {
			woken = false
			pl.waking.Store(false)
			if x == nil {
				x = pl.ring.pop() // pushed while the flag was still set
			}
		}
		if x != nil {
			if pl.spread.Load() && !pl.ring.empty() {
				pl.signal() // x may block: somebody else looks after the rest
			}
			w.placed = true
			if begun == 0 {
				begun = clock()
			}
			w.runChain(x, false)
			if clock()-begun > slice {
				runtime.Gosched()
				begun = 0
			}
			continue
		}
		pl.idle.Add(1)
		if (!pl.ring.empty() || pl.stopped.Load()) && pl.claim() {
			if pl.stopped.Load() {
				return
			}
			continue // something came between looking and parking
		}
		if !<-pl.wake {
			return
		}
		woken, begun = true, 0
	}
}

// runChain runs x and the pipelined requests behind it, and hands each back to
// the loop as soon as it is done.
func (w *worker) runChain(x *exchange, skip bool) {
	for x != nil {
		next := x.chain
		w.cur = x
		if skip || x.gone.Load() {
			x.skipped = true
		} else if !x.runTimed() {
			w.cur = nil
			w.leave()
			return // what is behind it goes on after it: see goOn
		}
		// Requests behind one with which HTTP ends on the connection are not
		// handled, as fasthttp would not read them.
		skip = skip || x.endsHTTP()
		w.cur, x.chain = nil, nil
		if next == nil {
			w.leave() // before the client can send its next request
		}
		x.finish()
		x = next
	}
}

// goOn continues behind x, which was suspended and is done. It runs on the loop.
func (pl *pool) goOn(x *exchange) {
	next := x.chain
	x.chain = nil
	if !x.endsHTTP() {
		pl.submit(next) // or refused: proceed answers
		return
	}
	for y := next; y != nil; y = y.chain {
		y.skipped, y.state = true, exchangeDone
	}
}

// endsHTTP reports whether the connection closes, or changes hands, after x.
func (x *exchange) endsHTTP() bool { return x.skipped || x.hijack != nil || x.closes() }

// exit ends a worker. A handler that called runtime.Goexit takes its goroutine
// along, but neither its own answer nor the requests behind it.
func (w *worker) exit() {
	x := w.cur
	if x == nil {
		w.pl.workers.Add(-1)
		if !w.pl.ring.empty() {
			w.pl.signal() // it came when this one still counted
		}
		return
	}
	next := x.chain
	x.chain = nil
	x.serverError()
	if next == nil {
		w.leave()
	}
	x.finish()
	heir := worker{pl: w.pl, placed: w.placed}
	go heir.work(next)
}

// finish hands x back to its loop. The caller must not touch it any more.
func (x *exchange) finish() { x.ref.Loop().Post(&x.task) }

// defaultIdle is how long a worker may be idle, as fasthttp has it.
const defaultIdle = 10 * time.Second

// scheduleTidy arms the timer that ends idle workers.
func (pl *pool) scheduleTidy() {
	if !pl.tidying.CompareAndSwap(false, true) {
		return
	}
	d := pl.p.cfg.fs.MaxIdleWorkerDuration
	if d <= 0 {
		d = defaultIdle
	}
	time.AfterFunc(d, pl.tidy)
}

// tidy ends half of the idle workers (at most as many as the channel has room
// for beside the one token of signal), until none is left: a server at rest
// has neither workers nor a timer.
func (pl *pool) tidy() {
	pl.tidying.Store(false)
	n := min((pl.idle.Load()+1)/2, int64(maxRetired-len(pl.wake)))
	for ; n > 0 && pl.claim(); n-- {
		pl.wake <- false
	}
	if pl.workers.Load() > 0 {
		pl.scheduleTidy()
	}
}

// stop ends the workers as they become idle; the loop has ended.
func (pl *pool) stop() {
	pl.stopped.Store(true)
	for pl.claim() {
		pl.wake <- false
	}
}
