//go:build linux

package httpcore

import "unsafe"

// Most requests are plain ones (headMeaning) with usual responses (usualHead).
// An exchange that has been no more than that is soon ready for the next one.

// ordinary reports whether x, which is answered, was a plain request with a usual
// response, and nothing else has become of it.
func (x *exchange) ordinary() bool {
	ctx := unsafe.Pointer(&x.ctx)
	return x.usual && x.meaning.plain && !x.p.cfg.special && !x.closed && x.watched == nil && x.peer.nc == nil &&
		*inside.userValues.of(ctx) == 0 && *inside.remoteAddr.of(ctx) == nil && !*inside.hijackNoResponse.of(ctx) &&
		cap(x.ctx.Response.Body()) <= largeBody && !x.gone.Load()
}

// renew is end for an exchange that was ordinary.
func (x *exchange) renew() {
	x.ctx.Request.Reset()
	x.ctx.Response.Reset()
	x.state, x.chain, x.route, x.usual, x.http10 = exchangeReading, nil, nil, false, true
	x.limits, x.meaning = limits{}, headMeaning{}
}

// plainHead returns the length of the head that b begins with, if that is the one
// that is remembered, of a plain request, and nothing about s wants more than that;
// else 0.
func (s *session) plainHead(b []byte) int {
	m := &s.p.memo
	if !s.p.cfg.plain || m.state != memoReady || !m.meaning.plain || !m.begins(b) ||
		s.head != (headScanner{}) || s.facade != nil || s.c.NetConn() != nil {
		return 0
	}
	return len(m.head)
}

// plain is data for plain requests with the head that is remembered, where handlers
// run at once. As long as their responses are usual, one exchange takes them one
// after the other, without a list and a state: pipelined, a request then costs four
// fifths. It returns how many octets it used. A request that is not over then
// is the session's first, to be answered as any other.
func (s *session) plain(b []byte) (used int) {
	if s.p.pool != nil {
		return 0
	}
	n := s.plainHead(b)
	if n == 0 {
		return 0
	}
	s.startTimer(timingNothing)
	for x := s.next(); ; s.again(x) {
		head := b[used : used+n]
		used += n
		if !s.beginPlain(x, head) {
			return used
		}
		if !x.run() {
			x.state = exchangeRunning // until it is resumed
			s.append(x)
			return used
		}
		if !s.respondUsual(x) {
			x.state = exchangeDone
			s.append(x)
			return used
		}
		s.answered(x)
		if !s.p.memo.begins(b[used:]) || !x.ordinary() {
			s.p.release(x)
			return used
		}
	}
}

// beginPlain makes x the request with this head, unless that fails.
func (s *session) beginPlain(x *exchange, head []byte) bool {
	x.http10 = false
	if m := &s.p.memo; !m.restore(x) {
		if err := x.parse(head); err != nil {
			s.fail(x, err)
			return false
		}
		x.meaning = m.meaning
	}
	x.setLimits()
	return true
}

// again makes x, which was ordinary, the exchange of the session's next request.
func (s *session) again(x *exchange) {
	x.renew()
	s.requests++
	*inside.connRequestNum.of(unsafe.Pointer(&x.ctx)) = s.requests
}

// holdPlain leaves such requests, which b begins with, in the receive buffer until
// the turn's end, when their handlers may run on the loop (runHeld). It is false
// where these run elsewhere.
func (s *session) holdPlain(b []byte) bool {
	pl := s.p.pool
	if pl == nil || !pl.adaptive || s.first != nil || s.c.Unconsumed() > 0 || s.plainHead(b) == 0 ||
		!pl.routes.at(s.p.memo.meaning.route).quick() || !pl.hold(s) {
		return false
	}
	s.startTimer(timingNothing)
	s.c.HoldInput()
	s.held = true
	return true
}

// runHeld is plain at the end of a turn, when handlers may block, and reports
// whether the loop is still this goroutine's. While a handler runs its request is
// the session's first, and the input what comes behind it: should the loop be lost,
// all is as if a worker had it.
func (s *session) runHeld() (owned bool) {
	s.held = false
	pl, n := s.p.pool, s.plainHead(s.c.Input())
	r := pl.routes.at(s.p.memo.meaning.route)
	if n == 0 || !r.quick() { // no longer
		s.goOnHeld()
		return true
	}
	pl.serving = s
	for x := s.next(); ; s.again(x) {
		begun := s.beginPlain(x, s.c.Input()[:n])
		s.c.Consume(n)
		if !begun {
			break
		}
		x.route, x.took, x.state = r, 0, exchangeRunning
		s.first, s.newest, s.inFlight = x, x, 1
		done, owned := pl.step(x)
		if !owned {
			if done {
				x.finish()
			}
			return false
		}
		if !done { // until it is resumed
			break
		}
		if x.took != untimed {
			pl.routes.note(r, x.took, s.p.loop.Now())
		}
		if !s.respondUsual(x) {
			x.state = exchangeDone
			break
		}
		s.first, s.inFlight = nil, 0
		s.answered(x)
		if !s.p.memo.begins(s.c.Input()) || !r.quick() || !x.ordinary() {
			s.p.release(x)
			break
		}
	}
	pl.serving = nil
	s.goOnHeld()
	return true
}

// goOnHeld goes on with what is not as plain.
func (s *session) goOnHeld() {
	s.proceed()
	s.release()
}

// release gives the receive buffer back, if there is one.
func (s *session) release() {
	if s.c != nil { // else the connection is gone
		s.c.ReleaseInput()
	}
}
