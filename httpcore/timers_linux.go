package httpcore

import (
	"sync/atomic"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
)

// platformTimer is a timer's side on the loop.
type platformTimer struct {
	alarm  conn.Alarm
	task   conn.Task
	posted atomic.Bool
}

// platformTimers is the side of a request's timers on the loop. All but x and
// the task belongs to the loop's goroutine.
type platformTimers struct {
	x          *exchange // valid until the timers are over
	p          *protocol
	task       conn.Task
	known      bool // in protocol.timed
	prev, next *requestTimers
}

// timersOf returns the timers of the request that ctx is.
func timersOf(ctx *fasthttp.RequestCtx) *requestTimers {
	x := exchangeOf(ctx, "a timer")
	if r := x.timers; r != nil {
		return r
	}
	r := &requestTimers{runners: &x.p.runners, logger: x.p.cfg.logger}
	r.platform.x, r.platform.p = x, x.p
	r.platform.task.Run = r.forgotten
	x.timers = r
	if s := x.suspension; s != nil {
		s.watch(r)
	}
	return r
}

// follow has the loop do what t's state says.
func (t *Timer) follow() {
	pt := &t.platform
	if pt.posted.CompareAndSwap(false, true) {
		if pt.task.Run == nil {
			pt.task.Run = t.followed
			pt.alarm.Run = func(*conn.Loop) { t.expire() }
		}
		t.r.platform.p.loop.Post(&pt.task)
	}
}

// followed is follow on the loop.
func (t *Timer) followed(l *conn.Loop) {
	r, pt := t.r, &t.platform
	pt.posted.Store(false)
	r.mu.Lock()
	set, at := t.state == timerSet && !r.over, t.at
	if set && !r.platform.known {
		// Not over: the exchange is still this request's, until the loop comes
		// to its end.
		r.platform.register(r)
		r.platform.x.watched = r
	}
	ended := set && (r.platform.x.closed || l.Draining())
	r.mu.Unlock()
	switch {
	case ended:
		r.cancel(contextEnded)
	case set:
		l.SetAlarm(&pt.alarm, timeUntil(at))
	default:
		l.StopAlarm(&pt.alarm)
	}
}

// unset stops the alarm, on the loop.
func (t *Timer) unset() { t.r.platform.p.loop.StopAlarm(&t.platform.alarm) }

// forget has the loop drop what it knows of r, which is over.
func (r *requestTimers) forget() { r.platform.p.loop.Post(&r.platform.task) }

// forgotten is forget on the loop.
func (r *requestTimers) forgotten(*conn.Loop) {
	r.mu.Lock()
	for t := r.set.first; t != nil; t = t.next {
		t.unset()
	}
	r.mu.Unlock()
	r.platform.unregister(r)
}

// register notes r in its loop's list, so that a shutdown ends it even when its
// connection is gone.
func (pt *platformTimers) register(r *requestTimers) {
	pt.known = true
	if pt.next = pt.p.timed; pt.next != nil {
		pt.next.platform.prev = r
	}
	pt.p.timed = r
}

func (pt *platformTimers) unregister(r *requestTimers) {
	if !pt.known {
		return
	}
	pt.known = false
	if pt.prev != nil {
		pt.prev.platform.next = pt.next
	} else {
		pt.p.timed = pt.next
	}
	if pt.next != nil {
		pt.next.platform.prev = pt.prev
	}
	pt.prev, pt.next = nil, nil
}

// cancelTimers cancels all timers of the loop: the server shuts down.
func (p *protocol) cancelTimers() {
	for r := p.timed; r != nil; r = r.platform.next {
		r.cancel(contextEnded)
	}
}
