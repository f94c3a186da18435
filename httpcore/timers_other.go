//go:build !linux

package httpcore

import (
	"context"
	"math"
	"time"

	"github.com/valyala/fasthttp"
)

// Here timers are those of Go's runtime.
type platformTimer struct{ timer *time.Timer }

type platformTimers struct{ stop func() bool }

type timersKey struct{}

// timersOf returns the timers of the request that ctx is.
func timersOf(ctx *fasthttp.RequestCtx) *requestTimers {
	if r, ok := ctx.UserValue(timersKey{}).(*requestTimers); ok {
		return r
	}
	r := &requestTimers{runners: &runners{limit: math.MaxInt}, logger: ctx.Logger()}
	r.platform.stop = context.AfterFunc(ctx, func() { r.cancel(contextEnded) })
	ctx.SetUserValue(timersKey{}, r)
	if s, ok := ctx.UserValue(suspendKey{}).(waiting); ok {
		s.watch(r)
	}
	return r
}

// endTimers ends the timers of a request that is answered.
func endTimers(ctx *fasthttp.RequestCtx) {
	if r, ok := ctx.UserValue(timersKey{}).(*requestTimers); ok {
		r.end()
	}
}

// follow sets or stops Go's timer as t's state says.
func (t *Timer) follow() {
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	t.unset()
	if t.state == timerSet && !t.r.over {
		t.platform.timer = time.AfterFunc(timeUntil(t.at), t.expire)
	}
}

func (t *Timer) unset() {
	if t.platform.timer != nil {
		t.platform.timer.Stop()
	}
}

func (r *requestTimers) forget() {
	r.platform.stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	for t := r.set.first; t != nil; t = t.next {
		t.unset()
	}
}
