//go:build linux

package httpcore

import (
	"errors"
	"unsafe"

	"github.com/valyala/fasthttp"
)

// Errors of a request that are not the guard's.
var (
	errHeadTooLarge = &refusal{fasthttp.StatusRequestHeaderFieldsTooLarge, "httpcore: request head over the limit (ReadBufferSize)"}
	errTimeout      = &refusal{fasthttp.StatusRequestTimeout, "httpcore: the request did not arrive in time"}
	errIncomplete   = &refusal{fasthttp.StatusBadRequest, "httpcore: the client closed its side within a request"}
	errDisagreement = errors.New("httpcore: guard and parser disagree on the framing")
)

// begin starts the request whose head is given; known says that it is the one
// in headMemo. Everything that may be wrong with it is answered in its turn.
func (s *session) begin(head []byte, known bool) {
	if s.timing != timingNothing {
		s.startTimer(timingNothing)
	}
	x := s.next()
	if s.facade != nil {
		s.activate()
	}
	info := &s.p.memo.info
	if !known {
		checked := s.p.guard.check(head)
		if info = &checked; info.refusal != nil {
			s.fail(x, info.refusal)
			return
		}
	}
	x.http10 = !info.http11
	if !known || x.peer.nc != nil || !s.p.memo.restore(x) {
		if err := x.parse(head); err != nil {
			s.fail(x, err)
			return
		}
	}
	if x.meaning.plain && s.p.cfg.plain { // there is nothing to be found below
		x.setLimits()
		s.submit(x)
		return
	}
	if !known {
		s.p.memo.missed(head, *info)
	}
	req := &x.ctx.Request
	if int64(req.Header.ContentLength()) != info.contentLength {
		s.fail(x, errDisagreement)
		return
	}
	cfg := s.p.cfg
	x.last = req.Header.ConnectionClose()
	x.final = cfg.disableKeepalive || (cfg.maxRequestsPerConn > 0 && s.requests >= cfg.maxRequestsPerConn)
	s.closing = x.last || x.final
	if cfg.fs.GetOnly && !req.Header.IsGet() && !req.Header.IsHead() {
		s.fail(x, fasthttp.ErrGetOnly)
		return
	}
	x.setLimits()
	n := info.contentLength
	if n == lengthNone && !req.Header.IsGet() && !req.Header.IsHead() {
		req.Header.SetContentLength(0) // as fasthttp has it
	}
	if n == lengthNone || n == 0 {
		s.submit(x)
		return
	}
	streams := cfg.fs.StreamRequestBody
	if n > x.limits.body && !streams {
		s.fail(x, fasthttp.ErrBodyTooLarge)
		return
	}
	s.reading = x
	x.body.begin(n, x.limits.body, info.expectContinue, streams)
	if x.limits.read > 0 {
		s.startTimer(timingBody)
	}
	switch {
	case info.expectContinue && (cfg.fs.ExpectHandler != nil || cfg.fs.ContinueHandler != nil):
		s.expect(x)
	case streams:
		s.beginStream(x)
	}
}

// next returns the exchange of the connection's next request.
func (s *session) next() *exchange {
	s.requests++
	if s.requests == 1 {
		s.remote, s.local = s.remoteAddr(), s.p.localAddr(s.c)
	}
	return s.p.acquire(s)
}

// parse has fasthttp parse a head, once.
func (x *exchange) parse(head []byte) error {
	if err := x.p.parseHead(&x.ctx.Request.Header, head); err != nil {
		return err
	}
	x.ctx.URI()
	return *inside.uriParseErr.of(unsafe.Pointer(&x.ctx))
}

func (p *protocol) parseHead(h *fasthttp.RequestHeader, head []byte) error {
	p.headBytes.Reset(head)
	p.parser.Reset(&p.headBytes)
	if err := h.Read(p.parser); err != nil {
		return err
	}
	if p.parser.Buffered() > 0 || p.headBytes.Len() > 0 {
		return errDisagreement
	}
	return nil
}

// body is a request's body on its way in.
type body struct {
	left     int64 // octets to come, with Content-Length
	chunks   *chunkedDecoder
	chunked  bool
	length   int64 // Content-Length or lengthChunked
	awaited  bool  // the client waits for 100 Continue
	deciding bool  // … and ExpectHandler has not answered

	stream   *bodyStream // with StreamRequestBody
	answered bool        // its response is written: what comes is thrown away
	wasted   int         // octets thrown away
}

func (b *body) begin(length, limit int64, expectContinue, streams bool) {
	b.left, b.awaited, b.length = length, expectContinue, length
	if streams {
		limit = 0 // the handler decides how much it reads
	}
	if b.chunked = length == lengthChunked; b.chunked {
		if b.chunks == nil {
			b.chunks = new(chunkedDecoder)
		}
		b.chunks.reset(limit)
	}
}

// complete reports whether all of the body has been taken.
func (b *body) complete() bool {
	if b.chunked {
		return b.chunks.done()
	}
	return b.left == 0
}

// unread gives back the last n octets that were taken.
func (b *body) unread(n int) {
	if b.chunked {
		b.chunks.unread(n)
	} else {
		b.left += int64(n)
	}
}

func (b *body) reset() { *b = body{chunks: b.chunks} }

// readBody takes octets of the body of the request that is being received from
// p. It returns how many it used, and whether that ended the body (or the
// request).
func (s *session) readBody(p []byte) (used int, whole bool) {
	x := s.reading
	if x.body.deciding {
		return 0, false
	}
	x.body.awaited = false // it did not wait
	if x.body.stream != nil {
		return s.putStream(x, p)
	}
	if !x.body.chunked {
		used = int(min(int64(len(p)), x.body.left))
		x.ctx.Request.AppendBody(p[:used])
		if x.body.left -= int64(used); x.body.left > 0 {
			return used, false
		}
		s.submit(x)
		return used, true
	}
	d := x.body.chunks
	for used < len(p) && !d.done() {
		data, n, err := d.next(p[used:])
		if err != nil {
			if err == errChunkedTooLarge {
				err = fasthttp.ErrBodyTooLarge
			}
			s.fail(x, err)
			return used, true
		}
		x.ctx.Request.AppendBody(data)
		used += n
	}
	if !d.done() {
		return used, false
	}
	if err := x.parseTrailer(d.trailerSection()); err != nil {
		s.fail(x, err)
		return used, true
	}
	if len(x.ctx.Request.Body()) == 0 {
		x.ctx.Request.Header.SetContentLength(0) // as fasthttp has it
	}
	s.submit(x)
	return used, true
}

func (x *exchange) parseTrailer(section []byte) error {
	if section == nil {
		return nil
	}
	x.p.headBytes.Reset(section)
	x.p.parser.Reset(&x.p.headBytes)
	return x.ctx.Request.Header.ReadTrailer(x.p.parser)
}

// sendContinue answers "Expect: 100-continue" (RFC 9110 section 10.1.1) once
// the responses before it are written.
func (s *session) sendContinue() {
	x := s.reading
	if x == nil || !x.body.awaited || x.body.deciding {
		return
	}
	space := s.c.Reserve(len(continueLine))
	if space == nil {
		s.c.NotifyDrained()
		return
	}
	x.body.awaited = false
	s.c.Commit(copy(space, continueLine))
}

const continueLine = "HTTP/1.1 100 Continue\r\n\r\n"

// submit queues a complete request for its handler.
func (s *session) submit(x *exchange) {
	s.reading = nil
	if s.timing != timingNothing {
		s.startTimer(timingNothing)
	}
	x.state = exchangeWaiting
	s.append(x)
}

// fail queues the answer to a request that cannot be handled; the connection
// closes after it.
func (s *session) fail(x *exchange, err error) {
	x.err, x.last, s.closing = err, true, true
	s.failed(err)
	s.p.logFailure(s, err)
	s.submit(x)
}

// refuse fails the request that is arriving, and settles.
func (s *session) refuse(err error) {
	x := s.reading
	if x == nil {
		x = s.next()
	} else if x.body.deciding { // its context is with ExpectHandler
		s.c.Abort(err)
		return
	}
	s.head.reset()
	s.fail(x, err)
	s.answer()
	if s.first == nil && !s.c.Closing() {
		s.c.Close()
	}
}
