//go:build !linux

package httpcore

import "github.com/valyala/fasthttp"

// Here each handler has a goroutine anyhow: a suspended request keeps it.
type suspendKey struct{}

// waiting is the user value of suspendKey.
type waiting struct {
	*suspension
	done chan struct{} // closed by complete
}

func (s *suspension) bind(ctx *fasthttp.RequestCtx) {
	done := make(chan struct{})
	s.complete = func() { close(done) }
	s.failed = func() {
		ctx.Error(fasthttp.StatusMessage(fasthttp.StatusInternalServerError), fasthttp.StatusInternalServerError)
		ctx.SetConnectionClose()
	}
	ctx.SetUserValue(suspendKey{}, waiting{s, done})
	if r, ok := ctx.UserValue(timersKey{}).(*requestTimers); ok {
		s.watch(r)
	}
}

// suspendable wraps a handler that may call Suspend.
func suspendable(h fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		defer endTimers(ctx)
		h(ctx)
		if s, ok := ctx.UserValue(suspendKey{}).(waiting); ok && s.handlerReturned() {
			<-s.done
		}
	}
}
