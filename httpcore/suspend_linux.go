package httpcore

import (
	"unsafe"

	"github.com/valyala/fasthttp"
)

// bind finds the exchange of ctx by the connection that the handler sees.
func (s *suspension) bind(ctx *fasthttp.RequestCtx) {
	var x *exchange
	switch p := (*inside.conn.of(unsafe.Pointer(ctx))).(type) {
	case *peer:
		x = p.x
	case tlsPeer:
		x = p.x
	}
	if x == nil || &x.ctx != ctx {
		panic("httpcore: Suspend of a RequestCtx that no ringcore server has given to its handler")
	}
	s.complete = func() {
		x.conclude()
		x.finish()
	}
	x.suspension = s
}
