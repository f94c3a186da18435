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

// plain is data for plain requests with the head that is remembered, where handlers
// run at once. As long as their responses are usual, one exchange takes them one
// after the other, without a list and a state: pipelined, a request then costs four
// fifths. It returns how many octets it used. A request that is not over then
// is the session's first, to be answered as any other.
func (s *session) plain(b []byte) (used int) {
	p, m := s.p, &s.p.memo
	if p.pool != nil || !p.cfg.plain || m.state != memoReady || !m.meaning.plain || !m.begins(b) ||
		s.head != (headScanner{}) || s.facade != nil || s.c.NetConn() != nil {
		return 0
	}
	s.startTimer(timingNothing)
	x := s.next()
	for {
		head := b[used : used+len(m.head)]
		used += len(head)
		x.http10 = false
		if !m.restore(x) {
			if err := x.parse(head); err != nil {
				s.fail(x, err)
				return used
			}
			x.meaning = m.meaning
		}
		x.setLimits()
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
		if !m.begins(b[used:]) || !x.ordinary() {
			p.release(x)
			return used
		}
		x.renew()
		s.requests++
		*inside.connRequestNum.of(unsafe.Pointer(&x.ctx)) = s.requests
	}
}
