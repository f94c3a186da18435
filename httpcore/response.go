//go:build linux

package httpcore

import (
	"bufio"
	"bytes"
	"unsafe"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
)

// respond writes x's response, or goes on with it, and reports whether it is
// wholly written. If not, drained or x's own task comes back to it.
func (s *session) respond(x *exchange) bool {
	if x.skipped || s.c.Closing() || s.respondUsual(x) {
		return true
	}
	if !s.sendEarly(x) {
		return false
	}
	if !x.begun {
		if x.file.files != nil && !x.file.found && !x.abandoned && !s.findFile(x) {
			return false
		}
		if !s.beginResponse(x) {
			return false
		}
	}
	if x.streamed && x.err != nil {
		s.c.Abort(x.err) // the client sees a truncated body, not a wrong one
		return true
	}
	for i, rest := range x.rest {
		if len(rest) == 0 {
			continue
		}
		if x.rest[i] = rest[s.c.Write(rest):]; len(x.rest[i]) > 0 {
			return false
		}
	}
	s.endResponse(x)
	return true
}

// respondUsual is respond for the most frequent case, in one go: the head is the
// usual one, there is a body that fits into the send buffer, and the connection
// goes on. It is false, and has done nothing, for any other.
func (s *session) respondUsual(x *exchange) bool {
	resp := &x.ctx.Response
	if x.marks != (marks{}) || x.file.files != nil || x.hijack != nil || s.reading == x || s.p.loop.Draining() || x.peer.hinted.Load() ||
		resp.SkipBody || resp.IsBodyStream() || x.isHead() {
		return false
	}
	body := resp.Body()
	if len(body) == 0 || len(body) > maxSpace-headSpace {
		return false
	}
	space := s.c.Reserve(headSpace + len(body))
	if space == nil {
		return false
	}
	n := s.p.usual.append(space, &resp.Header, len(body), s.p.loop.Now())
	if n == 0 {
		return false
	}
	if d := x.limits.write; d > 0 {
		s.c.SetTimeout(conn.WriteTimer, d)
	}
	s.c.Commit(n + copy(space[n:], body))
	x.usual = true
	return true
}

// beginResponse writes the head, and what of the body there is room for. It is
// false when the response cannot go on now: there is no room, or a goroutine
// streams it.
func (s *session) beginResponse(x *exchange) bool {
	if x.hijack != nil && *inside.hijackNoResponse.of(unsafe.Pointer(&x.ctx)) {
		x.begun = true
		return true
	}
	if x.file.body != nil && !x.abandoned {
		return s.sendFile(x)
	}
	resp := x.response()
	need := headSpace
	if !resp.IsBodyStream() {
		need = min(headSpace+len(resp.Body()), maxSpace)
	}
	space := s.c.Reserve(need)
	if space == nil {
		s.c.NotifyDrained()
		return false
	}
	x.begun = true
	x.finishHead(resp, s.closesAfter(x))
	if resp.IsBodyStream() {
		if !namesEndNoLine(&resp.Header) {
			s.replaceResponse(x)
			return true
		}
		x.state = exchangeStreaming
		x.startStream(s.c, resp)
		return false
	}
	if d := x.limits.write; d > 0 {
		s.c.SetTimeout(conn.WriteTimer, d)
	}
	s.writeResponse(x, resp, space)
	return true
}

// response returns what is to be sent.
func (x *exchange) response() *fasthttp.Response {
	if x.abandoned {
		return x.ctx.LastTimeoutErrorResponse()
	}
	return &x.ctx.Response
}

// closes reports whether the request or its response ends the connection.
func (x *exchange) closes() bool {
	resp := x.response()
	return x.last || resp.ConnectionClose() || x.final && x.hijack == nil ||
		// The end of the connection is the end of the body.
		x.http10 && resp.IsBodyStream() && resp.Header.ContentLength() < 0
}

// closesAfter decides whether the connection ends with this response. When the
// server shuts down, that is the last one for which a handler has run.
func (s *session) closesAfter(x *exchange) bool {
	if x.closes() || s.tooMuchUnread(x) || s.p.loop.Draining() && x.next == nil && x.hijack == nil {
		x.last, s.closing = true, true
	}
	return x.last
}

// finishHead sets what the server decides about a response's head, as
// fasthttp's server does.
func (x *exchange) finishHead(resp *fasthttp.Response, last bool) {
	if x.ctx.IsHead() {
		resp.SkipBody = true
	}
	h := &resp.Header
	switch {
	case last:
		h.SetConnectionClose()
	case x.http10:
		// RFC 9112 section 9.3: an HTTP/1.0 client has to be told.
		h.Set(fasthttp.HeaderConnection, "keep-alive")
	}
	x.p.cfg.setServer(resp)
}

// setServer has resp sent with the Server field, unless the handler has set
// that. fasthttp keeps the line whole for this; it costs no copy.
func (c *config) setServer(resp *fasthttp.Response) {
	if p := unsafe.Pointer(resp); c.serverLine != nil && !*inside.serverSet.of(p) {
		*inside.serverLine.of(p) = c.serverLine
	}
}

// presetServer has the handler see the Server field as it will be sent; what
// ExpectHandler has set there gives way, as with fasthttp.
func (c *config) presetServer(resp *fasthttp.Response) {
	if p := unsafe.Pointer(resp); c.serverLine != nil {
		if *inside.serverSet.of(p) {
			resp.Header.SetServer("")
			*inside.serverSet.of(p) = false
		}
		*inside.serverLine.of(p) = c.serverLine
	}
}

// bodyless reports whether a response with this status has no body (RFC 9110
// sections 15.2, 15.3.5 and 15.4.5).
func bodyless(status int) bool {
	return status < 200 || status == fasthttp.StatusNoContent || status == fasthttp.StatusNotModified
}

// headSpace is the space in which a response head is built in place. Larger
// ones are built elsewhere and copied.
const headSpace = 1 << 10

// maxSpace is the most that is reserved for a head with its body; longer bodies
// go in pieces.
const maxSpace = 16 << 10

// writeResponse writes a response whose body is in memory: into space, which
// is the connection's send buffer, and what there is no room for into x.rest.
func (s *session) writeResponse(x *exchange, resp *fasthttp.Response, space []byte) {
	sendBody := !resp.SkipBody && !bodyless(resp.StatusCode())
	body := resp.Body()
	if sendBody && !x.http10 && len(resp.Header.PeekTrailerKeys()) > 0 {
		s.writeWithTrailers(x, resp)
		return
	}
	if sendBody || len(body) > 0 {
		resp.Header.SetContentLength(len(body))
	}
	if !sendBody {
		body = nil
	}
	head := resp.Header.AppendBytes(space)
	if !s.p.clean(head, &resp.Header) {
		s.replaceResponse(x)
		return
	}
	if len(body) > 0 {
		s.p.usual.keep(head, &resp.Header, len(body), s.p.loop.Now())
	}
	switch n := len(head); {
	case &head[0] != &space[0]: // it outgrew the space
		x.rest = [2][]byte{head, body}
	case n+len(body) <= len(space):
		s.c.Commit(n + copy(space[n:], body))
	default:
		s.c.Commit(n)
		x.rest[0] = body
	}
}

// writeWithTrailers writes a response with trailer fields, which fasthttp sends
// chunked. It is rare, and built on the side.
func (s *session) writeWithTrailers(x *exchange, resp *fasthttp.Response) {
	var b bytes.Buffer
	w := bufio.NewWriter(&headGuard{w: &b})
	if resp.Write(w) != nil || w.Flush() != nil {
		s.replaceResponse(x)
		return
	}
	x.rest[0] = b.Bytes()
}

// clean makes sure that a serialised head can split nothing (see sanitize.go).
// Most responses of a server have the same head as the one before, which needs
// no second look.
func (p *protocol) clean(head []byte, h *fasthttp.ResponseHeader) bool {
	if bytes.Equal(head, p.cleanHead) {
		return true
	}
	if !namesEndNoLine(h) || !sanitizeHead(head) {
		return false
	}
	p.cleanHead = append(p.cleanHead[:0], head...)
	return true
}

// replaceResponse answers 500 instead of a head that would split the response
// in two (CWE-113).
func (s *session) replaceResponse(x *exchange) {
	s.p.cfg.logger.Printf("httpcore: %s %s: the response has a line break in a field name; answering 500",
		x.ctx.Method(), x.ctx.RequestURI())
	var resp fasthttp.Response
	resp.SetStatusCode(fasthttp.StatusInternalServerError)
	resp.SetBodyString(fasthttp.StatusMessage(fasthttp.StatusInternalServerError))
	resp.SetConnectionClose()
	x.last, s.closing = true, true
	x.rest = [2][]byte{resp.Header.Header(), resp.Body()}
}

// sendEarly writes x's informational responses if its turn has come, and
// reports whether they are written.
func (s *session) sendEarly(x *exchange) bool {
	if s.first != x || !x.peer.hinted.Load() {
		return true
	}
	p := &x.peer
	p.mu.Lock()
	defer p.mu.Unlock()
	p.early = p.early[s.c.Write(p.early):]
	return len(p.early) == 0
}

// endResponse follows the last byte of a response.
func (s *session) endResponse(x *exchange) {
	if x.hijack != nil && (!x.last || *inside.hijackNoResponse.of(unsafe.Pointer(&x.ctx))) {
		s.hijack(x)
		return
	}
	if x.last {
		s.c.Close()
	}
}

// drained: there is room to write again.
func (s *session) drained() { s.proceed() }
