package httpcore

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// After has f called once: with nil when d has passed, or with ctx.Err() as soon
// as ctx ends, which is when the client goes or the server shuts down. A request
// that is answered ends its timers without a call, and so they are of use to a
// handler that calls [Suspend]: f may touch ctx, answer by resume, and set
// further timers. On systems other than Linux ctx ends at the shutdown only.
//
// F runs on a goroutine of the server's, whatever the dispatch: it may block,
// and never stalls a loop. It runs after the handler has returned, and the
// functions of one request run one after the other: none runs at the same time
// as another or as the handler, which therefore must not wait for them. A panic
// in f answers 500.
//
// A timer costs some 200 bytes and its place in a heap of its loop's, no
// goroutine and no timer of Go's runtime; setting and stopping take O(log n)
// time. After may be called by the handler, by f, and by whoever has ctx while
// the request is suspended, and panics with a ctx that is not the server's.
func After(ctx *fasthttp.RequestCtx, d time.Duration, f func(err error)) *Timer {
	t := &Timer{f: f}
	t.start(ctx, d)
	return t
}

// Every is After again and again: f is called with nil every d (more than 0, or
// Every panics), until Stop, and a last time with ctx.Err() if ctx ends before
// the request is answered. When f takes longer than d, the calls that it missed
// are left out.
func Every(ctx *fasthttp.RequestCtx, d time.Duration, f func(err error)) *Timer {
	if d <= 0 {
		panic("httpcore: Every with a duration that is not positive")
	}
	t := &Timer{f: f, period: d}
	t.start(ctx, d)
	return t
}

// Timer is what After and Every have set.
type Timer struct {
	r          *requestTimers
	f          func(error)
	period     time.Duration // of Every, else 0
	at         int64         // when it is due, by clock
	err        error         // what f is to be told
	state      timerState
	prev, next *Timer // in one of the request's lists
	platform   platformTimer
}

// timerState says where a timer is. It is guarded by requestTimers.mu.
type timerState uint8

const (
	timerSet     timerState = iota // in the list set
	timerDue                       // in the list due
	timerCalling                   // f runs, and the timer is to be set again
	timerEnded
)

// requestTimers are the timers of one request. It outlives that, as a call of
// Stop or a task may come late.
type requestTimers struct {
	mu        sync.Mutex
	set, due  timerList
	returned  bool  // the handler has, and the request is suspended
	running   bool  // a goroutine calls functions, or is about to
	over      bool  // the request is answered
	cancelled error // ctx.Err()

	runners  *runners
	logger   fasthttp.Logger
	fail     func() // answers 500
	platform platformTimers
	nextDue  *requestTimers // in runners
}

// timerList is a list of timers, in the order in which they were pushed.
type timerList struct{ first, last *Timer }

func (l *timerList) push(t *Timer) {
	t.prev, t.next = l.last, nil
	if l.last != nil {
		l.last.next = t
	} else {
		l.first = t
	}
	l.last = t
}

func (l *timerList) remove(t *Timer) {
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		l.first = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		l.last = t.prev
	}
	t.prev, t.next = nil, nil
}

func (t *Timer) start(ctx *fasthttp.RequestCtx, d time.Duration) {
	t.at = clock() + int64(max(d, 0))
	t.r = timersOf(ctx)
	t.r.mu.Lock()
	begin := t.enlist()
	t.r.mu.Unlock()
	if begin {
		t.r.runners.add(t.r)
	}
	t.follow()
}

// enlist sets t, or has it called at once if ctx has ended. True: the caller has
// r run.
func (t *Timer) enlist() (begin bool) {
	r := t.r
	switch {
	case r.over:
		t.state = timerEnded
	case r.cancelled != nil:
		t.err, t.state = r.cancelled, timerDue
		r.due.push(t)
		return r.begin()
	default:
		t.state = timerSet
		r.set.push(t)
	}
	return false
}

// Stop ends the timer, and reports whether that keeps f from being called (once
// more). It does not wait for a call that has begun. It may be called from any
// goroutine, at any time.
func (t *Timer) Stop() bool {
	r := t.r
	r.mu.Lock()
	was := t.state
	switch was {
	case timerSet:
		r.set.remove(t)
	case timerDue:
		r.due.remove(t)
	}
	t.state = timerEnded
	stopped := was != timerEnded && !r.over
	r.mu.Unlock()
	if was == timerSet {
		t.follow()
	}
	return stopped
}

// expire has f called: its time has come.
func (t *Timer) expire() {
	r := t.r
	r.mu.Lock()
	begin := false
	if t.state == timerSet && !r.over {
		r.set.remove(t)
		t.state = timerDue
		r.due.push(t)
		begin = r.begin()
	}
	r.mu.Unlock()
	if begin {
		r.runners.add(r)
	}
}

// begin reports whether the caller is to have r run.
func (r *requestTimers) begin() bool {
	if !r.returned || r.running || r.over || r.due.first == nil {
		return false
	}
	r.running = true
	return true
}

// handlerReturned lets the functions run: the request is suspended. Fail has it
// answered with 500.
func (r *requestTimers) handlerReturned(fail func()) {
	r.mu.Lock()
	r.returned, r.fail = true, fail
	begin := r.begin()
	r.mu.Unlock()
	if begin {
		r.runners.add(r)
	}
}

// cancel has all functions called with err: ctx has ended. For the loop.
func (r *requestTimers) cancel(err error) {
	r.mu.Lock()
	if r.over || r.cancelled != nil {
		r.mu.Unlock()
		return
	}
	r.cancelled = err
	for t := r.set.first; t != nil; t = r.set.first {
		t.unset()
		r.set.remove(t)
		t.err, t.state = err, timerDue
		r.due.push(t)
	}
	begin := r.begin()
	r.mu.Unlock()
	if begin {
		r.runners.add(r)
	}
}

// end drops all timers: the request is answered. For any goroutine.
func (r *requestTimers) end() {
	r.mu.Lock()
	was := r.over
	r.over = true
	r.mu.Unlock()
	if !was {
		r.forget()
	}
}

// run calls what is due.
func (r *requestTimers) run() {
	ended := false
	defer func() {
		if ended {
			return
		}
		if err := recover(); err != nil { // else runtime.Goexit
			r.logger.Printf("httpcore: panic in the function of a timer: %v\n%s", err, debug.Stack())
		}
		r.mu.Lock()
		r.running = false
		fail := r.fail
		r.mu.Unlock()
		fail()
	}()
	for {
		t, err := r.take()
		if t == nil {
			ended = true
			return
		}
		t.f(err)
		t.again()
	}
}

// take returns the next timer whose function is to be called, and with what.
func (r *requestTimers) take() (*Timer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.due.first
	if t == nil || r.over {
		r.running = false
		return nil, nil
	}
	r.due.remove(t)
	t.state = timerEnded
	if t.period > 0 && t.err == nil {
		t.state = timerCalling
	}
	return t, t.err
}

// again sets a timer of Every for its next call.
func (t *Timer) again() {
	r := t.r
	r.mu.Lock()
	calling := t.state == timerCalling
	if calling {
		period := int64(t.period)
		t.at += period
		if late := clock() - t.at; late > 0 {
			t.at += late / period * period
		}
		t.enlist() // r runs already
	}
	r.mu.Unlock()
	if calling {
		t.follow()
	}
}

func timeUntil(at int64) time.Duration { return time.Duration(at - clock()) }

// contextEnded is the error of a context that has ended, as RequestCtx.Err says.
var contextEnded = context.Canceled

// runners are the goroutines that call the functions of timers: one, and one
// more whenever the others may be blocked.
type runners struct {
	mu          sync.Mutex
	first, last *requestTimers
	coming      bool // one was started that has not looked yet
	n, limit    int
}

// add has a goroutine run r.
func (rn *runners) add(r *requestTimers) {
	rn.mu.Lock()
	r.nextDue = nil
	if rn.first == nil {
		rn.first = r
	} else {
		rn.last.nextDue = r
	}
	rn.last = r
	more := rn.more()
	rn.mu.Unlock()
	if more {
		go rn.work()
	}
}

// more reports whether the caller is to start one more goroutine.
func (rn *runners) more() bool {
	if rn.first == nil || rn.coming || rn.n >= rn.limit {
		return false
	}
	rn.coming = true
	rn.n++
	return true
}

func (rn *runners) work() {
	ended := false
	defer func() {
		if !ended { // runtime.Goexit: another one goes on
			rn.mu.Lock()
			rn.n--
			more := rn.more()
			rn.mu.Unlock()
			if more {
				go rn.work()
			}
		}
	}()
	for first := true; ; first = false {
		rn.mu.Lock()
		if first {
			rn.coming = false
		}
		r := rn.first
		if r == nil {
			rn.n--
			ended = true
			rn.mu.Unlock()
			return
		}
		rn.first = r.nextDue
		more := rn.more() // r may block: somebody else looks after the rest
		rn.mu.Unlock()
		if more {
			go rn.work()
		}
		r.run()
	}
}
