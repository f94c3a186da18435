//go:build linux

package httpcore

import (
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
)

// limits are what applies to one request: the server's, or what HeaderReceived
// says for it.
type limits struct {
	body        int64         // octets
	read, write time.Duration // of the body, of the response; 0: none
}

// setLimits settles x's limits, once its head has been parsed.
func (x *exchange) setLimits() {
	cfg := x.p.cfg
	x.limits = cfg.limits
	f := cfg.fs.HeaderReceived
	if f == nil {
		return
	}
	c := f(&x.ctx.Request.Header)
	if c.MaxRequestBodySize > 0 {
		x.limits.body = int64(c.MaxRequestBodySize)
	}
	if c.ReadTimeout > 0 {
		x.limits.read = c.ReadTimeout
	}
	if c.WriteTimeout > 0 {
		x.limits.write = c.WriteTimeout
	}
}

// expect asks ExpectHandler or ContinueHandler whether the body that a client
// announces with "Expect: 100-continue" is wanted (RFC 9110 section 10.1.1). It
// may take its time: with Pooled dispatch it does so on a goroutine.
func (s *session) expect(x *exchange) {
	if s.p.pool == nil {
		s.decided(x, x.wanted())
		return
	}
	x.body.deciding = true
	ref := s.c.Ref()
	go func() {
		status := fasthttp.StatusInternalServerError // stands after a panic
		defer func() {
			if r := recover(); r != nil {
				x.p.cfg.logger.Printf("httpcore: panic in the ExpectHandler: %v", r)
			}
			ref.Loop().Post(&conn.Task{Run: func(*conn.Loop) {
				if ref.Conn() == nil {
					x.p.release(x)
				} else if x.body.deciding = false; s.reading == x {
					s.decided(x, status)
					s.proceed()
				} else {
					x.p.release(x)
				}
			}})
		}()
		status = x.wanted()
	}()
}

// wanted returns 100 if x's body is wanted, or the status to answer.
func (x *exchange) wanted() int {
	fs := x.p.cfg.fs
	if fs.ExpectHandler != nil {
		return fs.ExpectHandler(&x.ctx)
	}
	if fs.ContinueHandler(&x.ctx.Request.Header) {
		return fasthttp.StatusContinue
	}
	return fasthttp.StatusExpectationFailed
}

// decided goes on with a request after the decision.
func (s *session) decided(x *exchange, status int) {
	if status == fasthttp.StatusContinue {
		if x.p.cfg.fs.StreamRequestBody {
			s.beginStream(x)
		}
		return
	}
	// The client may send the body all the same: the connection ends here.
	x.ctx.SetStatusCode(status)
	x.declined, x.last, s.closing = true, true, true
	s.submit(x)
}
