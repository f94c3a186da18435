//go:build linux

package httpcore

import (
	"fmt"
	"io"
	"runtime/debug"
	"unsafe"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
)

// run calls the handler and leaves the response in x, on the loop or on a
// goroutine, as dispatch has it. It is false if the handler has suspended
// the request: x comes back to the loop by itself, and must not be touched.
func (x *exchange) run() bool {
	x.call()
	if sp := x.suspension; sp != nil && !x.panicked && sp.handlerReturned() {
		return false
	}
	x.conclude()
	return true
}

// conclude follows the handler, or its resumption.
func (x *exchange) conclude() {
	x.suspension = nil
	x.endTimers()
	switch {
	case x.panicked:
		x.file.reset()
		x.serverError()
	case x.ctx.LastTimeoutErrorResponse() != nil:
		x.abandoned = true
		return // from here on ctx belongs to whoever runs on
	case x.p.pool != nil && x.ctx.Response.IsBodyStream():
		x.readShortStream()
	}
	x.hijack = *inside.hijackHandler.of(unsafe.Pointer(&x.ctx))
}

func (x *exchange) endTimers() {
	if x.timers != nil {
		x.timers.end()
		x.timers = nil
	}
}

// call runs the handler of the user, or of the error, and survives a panic.
func (x *exchange) call() {
	returned := false
	defer func() {
		if returned {
			return
		}
		x.panicked = true // or runtime.Goexit, which recover does not see
		if r := recover(); r != nil {
			x.p.cfg.logger.Printf("httpcore: panic in the handler of %s %s: %v\n%s",
				x.ctx.Method(), x.ctx.RequestURI(), r, debug.Stack())
		}
	}()
	switch {
	case x.declined:
	case x.err == nil && x.formWanted():
		if _, x.err = x.ctx.MultipartForm(); x.err != nil {
			x.last = true
			x.handleError()
			break
		}
		fallthrough
	case x.err == nil:
		x.p.cfg.presetServer(&x.ctx.Response)
		x.p.cfg.handler(&x.ctx)
	default:
		x.handleError()
	}
	returned = true
}

// formWanted reports whether a form with files is to be parsed before the
// handler sees the request, as fasthttp does unless it is told not to.
func (x *exchange) formWanted() bool {
	h := &x.ctx.Request.Header
	return x.body.length > 0 && !x.p.cfg.fs.DisablePreParseMultipartForm &&
		len(h.MultipartFormBoundary()) > 0 && len(h.ContentEncoding()) == 0
}

// runAside runs x on a goroutine of its own, where even with Inline dispatch
// the handler has to wait for what the loop brings.
func (x *exchange) runAside() {
	returned, suspended := false, false
	defer func() {
		if !returned {
			x.serverError() // runtime.Goexit
		}
		if !suspended {
			x.finish()
		}
	}()
	suspended = !x.run()
	returned = true
}

// handleError answers a request that could not be handled.
func (x *exchange) handleError() {
	if h := x.p.cfg.fs.ErrorHandler; h != nil {
		h(&x.ctx, outward(x.err))
		return
	}
	status := refusalStatus(x.err)
	if x.err == fasthttp.ErrBodyTooLarge {
		status = fasthttp.StatusRequestEntityTooLarge
	}
	text := fasthttp.StatusMessage(status)
	switch status { // fasthttp's words
	case fasthttp.StatusBadRequest:
		text = "Error when parsing request"
	case fasthttp.StatusRequestTimeout:
		text = "Request timeout"
	case fasthttp.StatusRequestHeaderFieldsTooLarge:
		text = "Too big request header"
	}
	x.ctx.Error(text, status)
}

// serverError makes the response of a handler that panicked.
func (x *exchange) serverError() {
	x.ctx.Response.Reset()
	x.ctx.Error(fasthttp.StatusMessage(fasthttp.StatusInternalServerError), fasthttp.StatusInternalServerError)
	x.last = true
}

// maxShortStream is the size up to which a body stream of known length is read
// at once by the worker that ran the handler: a small file then costs no
// goroutine and no wake-up.
const maxShortStream = 64 << 10

func (x *exchange) readShortStream() {
	resp := &x.ctx.Response
	n := resp.Header.ContentLength()
	if n < 0 || n > maxShortStream || resp.ImmediateHeaderFlush || x.isHead() {
		return
	}
	if cap(x.read) < n {
		x.read = make([]byte, n, maxShortStream)
	}
	x.read = x.read[:n]
	if err := readWhole(resp, x.read); err != nil {
		x.p.cfg.logger.Printf("httpcore: body stream of %s %s: %v", x.ctx.Method(), x.ctx.RequestURI(), err)
		x.serverError()
		return
	}
	resp.SetBodyRaw(x.read)
}

// readWhole fills p from resp's body stream and closes that; a panic of the
// stream is an error.
func readWhole(resp *fasthttp.Response, p []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	_, err = io.ReadFull(resp.BodyStream(), p)
	if cerr := resp.CloseBodyStream(); err == nil {
		err = cerr
	}
	return err
}

func (x *exchange) isHead() bool { return x.ctx.Request.Header.IsHead() }

// finished takes x back: it runs on the loop.
func (x *exchange) finished(*conn.Loop) {
	if x.lost {
		x.lost = false
		x.route.returned()
	}
	c := x.ref.Conn()
	if c == nil || x.state == exchangeOrphan {
		for y := x.chain; y != nil; { // held up by a suspension
			next := y.chain
			x.p.release(y)
			y = next
		}
		x.p.release(x)
		return
	}
	if x.state == exchangeStreaming {
		x.streamed = true
	} else if x.route != nil && x.took != untimed {
		x.p.pool.routes.note(x.route, x.took, x.p.loop.Now())
	}
	x.state = exchangeDone
	if x.chain != nil { // held up by a suspension
		x.p.pool.goOn(x)
	}
	c.State.(*session).proceed()
}
