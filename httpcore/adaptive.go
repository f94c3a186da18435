//go:build linux

package httpcore

import "github.com/ringcore/ringcore/conn"

// Adaptive dispatch: handlers of routes that have proved quick run on the loop,
// the others on the pool's goroutines. Should one block on the loop all the
// same, the loop is taken over from it (conn.Loop.StepOut), and it goes on as
// if it had been on the pool from the start.

// quickList holds the jobs that are to run on the loop, in order.
type quickList struct {
	first, last *exchange
	requests    int // since the last turn
}

// maxQuick is how many requests make a turn long enough: those of one turn are in
// memory at once, and their contexts had better stay in the processor's cache.
const maxQuick = 64

func (q *quickList) add(x *exchange) {
	x.queued = nil
	if q.first == nil {
		q.first = x
	} else {
		q.last.queued = x
	}
	q.last = x
}

func (q *quickList) take() *exchange {
	x := q.first
	if x != nil {
		q.first, x.queued = x.queued, nil
	}
	return x
}

// heldList holds the sessions whose input is held until the end of the turn, in
// order. A session may be gone since, or even be another connection's.
type heldList struct {
	sessions []*session
	at       int // those before are done
}

func (h *heldList) take() *session {
	if h.at == len(h.sessions) {
		h.sessions, h.at = h.sessions[:0], 0
		return nil
	}
	s := h.sessions[h.at]
	h.at++
	return s
}

// hold queues s for the end of this turn, unless that has been.
func (pl *pool) hold(s *session) bool {
	if pl.endedAt == pl.p.loop.Now() {
		return false
	}
	pl.held.sessions = append(pl.held.sessions, s)
	pl.count(1)
	return true
}

// count counts requests that are to run on the loop.
func (pl *pool) count(n int) {
	if pl.quick.requests += n; pl.quick.requests >= maxQuick {
		pl.p.loop.EndTurn()
	}
}

// isQuick reports whether x and what is chained to it may run on the loop. A
// handler that reads its body as it comes waits for the loop, and so may not.
func (pl *pool) isQuick(x *exchange) bool {
	if !pl.adaptive {
		return false
	}
	quick := true
	for ; x != nil; x = x.chain {
		x.route, x.took = nil, 0
		if x.err == nil && !x.declined {
			h := x.meaning.route
			if h == 0 {
				h = routeHash(x.ctx.Method(), x.ctx.Path())
			}
			x.route = pl.routes.at(h)
			quick = quick && x.route.quick() && x.body.stream == nil
		}
	}
	return quick
}

// runQuick runs the jobs that were kept for the loop, and reports whether the
// loop is still this goroutine's.
func (pl *pool) runQuick() bool {
	pl.quick.requests = 0
	for x := pl.quick.take(); x != nil; x = pl.quick.take() {
		if !pl.runHere(x) {
			return false
		}
	}
	return true
}

// runHeld has the sessions take the input that is held, and reports whether the
// loop is still this goroutine's.
func (pl *pool) runHeld() bool {
	for s := pl.held.take(); s != nil; s = pl.held.take() {
		if !s.held {
			s.release()
		} else if !s.runHeld() {
			return false
		}
	}
	return true
}

// runHere is worker.runChain on the loop.
func (pl *pool) runHere(x *exchange) (owned bool) {
	for skip := false; x != nil; {
		next := x.chain
		if skip || x.gone.Load() {
			x.skipped = true
		} else {
			done, owned := pl.step(x)
			if !done {
				return owned // what is behind it goes on after it: see goOn
			}
			if !owned { // go on as a worker
				skip = x.endsHTTP()
				x.chain = nil
				x.finish()
				pl.adopt(next, skip)
				return false
			}
		}
		skip = skip || x.endsHTTP()
		x.chain = nil
		x.finished(pl.p.loop)
		x = next
	}
	return true
}

// step runs one request on the loop, and reports whether it is done (or suspended),
// and whether the loop is still this goroutine's.
func (pl *pool) step(x *exchange) (done, owned bool) {
	loop, r := pl.p.loop, x.route
	pl.running = r
	if !pl.routes.wants(r) {
		x.took = untimed
	}
	done, owned = pl.callHere(x, loop.Now(), loop.StepOut())
	switch {
	case owned:
	case done:
		x.lost = true
	default:
		loop.Post(&conn.Task{Run: func(*conn.Loop) { r.returned() }})
	}
	return done, owned
}

// adopt has the calling goroutine, which is none of the pool's, run x and the
// requests behind it.
func (pl *pool) adopt(x *exchange, skip bool) {
	pl.workers.Add(1)
	w := worker{pl: pl}
	defer w.exit()
	w.runChain(x, skip)
}

// callHere calls the handler on the loop, in the turn that began at now, and
// reports whether x is done (or suspended), and whether the loop is still this
// goroutine's.
func (pl *pool) callHere(x *exchange, now int64, t conn.Ticket) (done, owned bool) {
	returned := false
	defer func() {
		if returned {
			return
		}
		// runtime.Goexit ends this goroutine, but neither the loop nor the
		// requests behind this one.
		next := x.chain
		x.chain = nil
		x.lost = !pl.p.loop.HandOver(t)
		x.serverError()
		x.finish()
		if next != nil {
			go pl.adopt(next, false)
		}
	}()
	done = x.runTimed()
	returned = true
	if owned = pl.p.loop.StepIn(t); done && !owned && x.took == untimed {
		x.took = pl.p.loop.Clock() - now // nearly
	}
	return done, owned
}

// runTimed is run, and notes how long it took where that is learnt from. For a
// request that is suspended that is nothing: its handler held nobody up.
func (x *exchange) runTimed() bool {
	if x.route == nil || x.took == untimed {
		return x.run()
	}
	begun := clock()
	done := x.run()
	if done {
		x.took = clock() - begun
	}
	return done
}
