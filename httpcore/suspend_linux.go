package httpcore

import (
	"unsafe"

	"github.com/valyala/fasthttp"
)

// exchangeOf finds the exchange of ctx by the connection that the handler sees.
func exchangeOf(ctx *fasthttp.RequestCtx, what string) *exchange {
	var x *exchange
	switch p := (*inside.conn.of(unsafe.Pointer(ctx))).(type) {
	case *peer:
		x = p.x
	case tlsPeer:
		x = p.x
	}
	if x == nil || &x.ctx != ctx {
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
