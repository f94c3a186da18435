package httpcore

import "github.com/valyala/fasthttp"

// exchangeOf returns the exchange of ctx, which has to be ringcore's.
func exchangeOf(ctx *fasthttp.RequestCtx, what string) *exchange {
	x := findExchange(ctx)
	if x == nil {
		panic("httpcore: " + what + " of a RequestCtx that no ringcore server has given to its handler")
	}
	return x
}

func (s *suspension) bind(ctx *fasthttp.RequestCtx) {
	x := exchangeOf(ctx, "Suspend")
	s.failed = func() { x.panicked = true }
	s.complete = func() {
		x.conclude()
		x.finish()
	}
	x.suspension = s
	if x.timers != nil {
		s.watch(x.timers)
	}
}
