package httpcore

import (
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// Suspend lets a handler return without having answered: the request is
// answered once resume is called, by any goroutine, with what ctx.Response holds
// then. Meanwhile it costs its slot and no goroutine; ctx stays valid, and belongs
// to whoever is going to call resume.
//
// Resume takes effect once: later calls do nothing, nor does one after the
// client has gone (ctx.Done tells) or the server has shut down. After resume ctx
// must not be touched. Called before the handler returns, it lets the return be
// the answer. A request that is never resumed holds up its connection and a
// shutdown, as a handler that never returns would. A panic of the handler
// answers 500, whatever was suspended.
//
// Requests that were pipelined behind a suspended one wait for it. Suspend is to
// be called by the handler itself, once a request, with the ctx that the server
// gave it.
func Suspend(ctx *fasthttp.RequestCtx) (resume func()) {
	s := &suspension{}
	s.bind(ctx)
	return s.resume
}

// suspension is one request between Suspend and resume.
type suspension struct {
	state    atomic.Uint32
	complete func() // has the response sent
	failed   func() // makes it 500
	timers   atomic.Pointer[requestTimers]
}

const (
	suspensionBegun uint32 = iota // the handler still runs
	suspensionWaits               // the handler has returned
	suspensionOver
)

// handlerReturned reports whether the request stays suspended.
func (s *suspension) handlerReturned() bool {
	if !s.state.CompareAndSwap(suspensionBegun, suspensionWaits) {
		return false
	}
	if r := s.timers.Load(); r != nil {
		r.handlerReturned(s.fail)
	}
	return true
}

// watch has the request's timers run once the handler has returned.
func (s *suspension) watch(r *requestTimers) {
	s.timers.Store(r)
	if s.state.Load() == suspensionWaits { // else handlerReturned finds them
		r.handlerReturned(s.fail)
	}
}

// fail is resume with 500, whatever the response is.
func (s *suspension) fail() {
	if s.state.Swap(suspensionOver) == suspensionWaits {
		s.failed()
		s.complete()
	}
}

func (s *suspension) resume() {
	if s.state.Swap(suspensionOver) == suspensionWaits {
		s.complete()
	}
}
