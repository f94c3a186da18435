//go:build linux

package gen

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/ringcore/ringcore/conn"
)

// phase is where a worker stands.
type phase uint8

const (
	joining   phase = iota // connections are being made
	warming                // load, not measured
	measuring              // load
	finishing              // no new requests; the last responses come
	finished               // connections are being closed
)

var phaseNames = [...]string{"connecting", "warm-up", "measuring", "finishing", "finishing"}

// event is what a worker tells the run.
type event struct {
	what eventKind
	err  error // of isGone
}

type eventKind uint8

const (
	isReady eventKind = iota // connections are made
	isDone                   // everything is measured
	isGone                   // no connection can be made
)

// tickEvery is how often a worker looks for what has timed out, lets failed
// connections try again, and shows its progress.
const tickEvery = 250 * time.Millisecond

// prepare makes the clients and has them connect.
func (w *worker) prepare() {
	d := &w.dial
	d.w = w
	sums := false
	for i := range w.kinds {
		sums = sums || w.kinds[i].sum != nil
	}
	queues := make([]pending, len(w.clients)*w.cfg.Pipelining)
	w.room.all = make([]*client, len(w.clients))
	for i := range w.clients {
		cl := &w.clients[i]
		cl.w = w
		cl.queue, queues = queues[:w.cfg.Pipelining:w.cfg.Pipelining], queues[w.cfg.Pipelining:]
		cl.local = source(i*w.cfg.Loops+w.number, w.cfg.Sources)
		cl.failed = func(err error) { d.failed(cl, err) }
		if sums {
			cl.sha256 = sha256.New()
		}
	}
	w.budget = -1
	if w.cfg.Close {
		w.settled()
		return
	}
	for i := range w.clients {
		d.want(&w.clients[i])
	}
}

// start begins the load at the time at (about now).
func (w *worker) start(at int64) {
	w.startedAt = at
	w.phase, w.phaseEnd = warming, at+int64(w.cfg.Warmup)
	if w.open() {
		w.plan = newPlan(at, w.cfg.Rate, w.number, w.cfg.Loops)
	}
	if w.cfg.Warmup == 0 {
		w.startMeasuring(at)
	}
	for i := range w.clients {
		if cl := &w.clients[i]; cl.due == 0 && (cl.state == up || w.cfg.Close) {
			w.idle(cl)
		}
	}
}

func (w *worker) startMeasuring(now int64) {
	w.phase, w.phaseEnd = measuring, now+int64(w.cfg.Duration)
	w.measured.warmup = w.count.errors
	w.count = counters{connects: w.count.connects}
	for i := range w.kinds {
		w.kinds[i].requests = 0
		w.kinds[i].latency.reset()
	}
	if n := w.cfg.Count; n > 0 {
		w.budget = max(share(int(n), w.number, w.cfg.Loops)-w.inFlight, 0)
	}
	w.before = readUsage(now)
}

// share is the part of n for one of several workers.
func share(n, worker, workers int) int64 {
	s := n / workers
	if worker < n%workers {
		s++
	}
	return int64(s)
}

func (w *worker) stopMeasuring(now int64) {
	w.after = readUsage(now)
	m := &w.measured
	m.counters = w.count
	m.unanswered = w.inFlight
	for i := range w.kinds {
		m.requests = append(m.requests, w.kinds[i].requests)
		if !w.open() {
			w.kinds[i].latency.flush()
		}
	}
	w.phase, w.phaseEnd = finishing, now+int64(min(w.cfg.Timeout, maxGrace))
	if w.open() {
		m.unsent = w.plan.due(now) + int64(len(w.again))
		due := w.plan.due(now)
		stride := max(due/100_000, 1) // if there are very many, some speak for all
		for n := int64(0); n < due; n += stride {
			// They have waited so long at least.
			w.nextKind().latency.recordN(now-w.plan.at(w.plan.taken+n), min(stride, due-n))
		}
		for _, at := range w.again {
			w.nextKind().latency.record(now - at)
		}
	}
}

// maxGrace is how long the last responses are waited for.
const maxGrace = time.Second

// finish closes all connections. In open loop, what is not answered enters the
// latencies with the time it has waited.
func (w *worker) finish(now int64) {
	w.phase, w.phaseEnd = finished, 0
	for i := range w.clients {
		cl := &w.clients[i]
		for n := range cl.due {
			if q := cl.queue[(cl.first+n)%len(cl.queue)]; w.open() {
				q.kind.latency.record(now - q.at)
			}
		}
	}
	for i := range w.kinds {
		w.kinds[i].latency.flush()
	}
	w.events <- event{what: isDone}
}

// stop ends the run before its time.
func (w *worker) stop() {
	now := w.loop.Now()
	switch w.phase {
	case measuring:
		w.stopMeasuring(now)
	case joining, warming: // nothing was measured
		w.startedAt = now
		w.startMeasuring(now)
		w.stopMeasuring(now)
	}
	w.phaseEnd = min(w.phaseEnd, now+int64(tickEvery))
}

// TurnEnd implements conn.TurnEnder: it moves from phase to phase.
func (w *worker) TurnEnd() bool {
	now := w.loop.Now()
	if w.phase == warming && now >= w.phaseEnd {
		w.startMeasuring(now)
	}
	if w.phase == measuring && (now >= w.phaseEnd || (w.budget == 0 && w.inFlight == 0)) {
		w.stopMeasuring(now)
	}
	if w.phase == finishing && (now >= w.phaseEnd || w.inFlight == 0) {
		w.finish(now)
	}
	if w.open() {
		w.dispatch()
	}
	return true
}

// Drain implements conn.Drainer: the connections are cut off by the run.
func (w *worker) Drain() {}

// ticked is the tick's task.
func (w *worker) ticked(*conn.Loop) {
	now := w.loop.Now()
	for i := range w.clients {
		if cl := &w.clients[i]; cl.state == up && cl.begun > 0 && now-cl.since > int64(w.cfg.Timeout) && w.phase < finishing {
			cl.fail(errTimeout)
		}
	}
	w.dial.retry()
	if w.phase == joining && w.stuck(now) {
		w.settled() // with what there is
	}
	if d := &w.dial; !w.gone && d.up == 0 && d.failing != 0 && now-d.failing > int64(w.cfg.giveUp) {
		w.gone = true
		w.events <- event{what: isGone, err: fmt.Errorf("no connection for %v: %w", w.cfg.giveUp, d.reason)}
	}
	w.show(now)
}

// settled tells once that every connection is made, or has failed and there
// are others.
func (w *worker) settled() {
	if !w.told && w.phase == joining && (w.dial.up > 0 || w.cfg.Close) {
		w.told = true
		w.events <- event{what: isReady}
	}
}

// stuck reports whether connecting has come no further for too long: with a
// server that accepts connections and closes them again, it never ends.
func (w *worker) stuck(now int64) bool {
	d := &w.dial
	if d.bestAt == 0 || d.up > d.best {
		d.best, d.bestAt = d.up, now
	}
	if now-d.bestAt <= int64(w.cfg.Timeout) {
		return false
	}
	if d.up == 0 && d.failing == 0 {
		d.failing, d.reason = d.bestAt, errFleeting
	}
	return true
}

var errFleeting = errors.New("the server closes connections at once")
