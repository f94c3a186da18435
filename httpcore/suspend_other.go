//go:build !linux

package httpcore

import "github.com/valyala/fasthttp"

// Here each handler has a goroutine anyhow: a suspended request keeps it.
type suspendKey struct{}

func (s *suspension) bind(ctx *fasthttp.RequestCtx) {
	done := make(chan struct{})
	s.complete = func() { close(done) }
	ctx.SetUserValue(suspendKey{}, func() {
		if s.handlerReturned() {
			<-done
		}
	})
}

// suspendable wraps a handler that may call Suspend.
func suspendable(h fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		h(ctx)
		if wait, ok := ctx.UserValue(suspendKey{}).(func()); ok {
			wait()
		}
	}
}
