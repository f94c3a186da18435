package httpcore

import (
	"unsafe"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
)

// fileAnswer is a request that is to be answered by a file: what its handler has
// said, and how far the loop has come with it.
type fileAnswer struct {
	files *Files // nil: the request is not of that kind
	path  []byte // below the root, without a slash in front
	index int    // the index file being tried for a directory

	entry  *fileEntry
	waiter *exchange // the next one that waits for entry

	body     *conn.File // to be sent, nil for none; retained
	at, size int64      // which part of it
	found    bool       // the response is complete but for its body
}

// findExchange finds the exchange of ctx by the connection that the handler sees;
// nil if it is not ringcore's.
func findExchange(ctx *fasthttp.RequestCtx) *exchange {
	var x *exchange
	switch p := (*inside.conn.of(unsafe.Pointer(ctx))).(type) {
	case *peer:
		x = p.x
	case tlsPeer:
		x = p.x
	}
	if x == nil || &x.ctx != ctx {
		return nil
	}
	return x
}

// serve notes what is to be served. The rest happens on the loop, see respond.
func (f *Files) serve(ctx *fasthttp.RequestCtx) bool {
	x := findExchange(ctx)
	if x == nil {
		return false
	}
	path := ctx.Path()
	if f.PathRewrite != nil {
		path = f.PathRewrite(ctx)
	}
	a := &x.file
	if len(path) == 0 || path[0] != '/' || leavesRoot(path) {
		f.notFound(ctx)
		return true
	}
	a.files, a.index, a.found = f, 0, false
	a.path = append(a.path[:0], path[1:]...)
	return true
}

// leavesRoot reports whether a segment of path is "..". The kernel refuses those
// that lead out of the root; but not if symbolic links may.
func leavesRoot(path []byte) bool {
	for i := 0; i+2 < len(path); i++ {
		if path[i] == '/' && path[i+1] == '.' && path[i+2] == '.' && (i+3 == len(path) || path[i+3] == '/') {
			return true
		}
	}
	return false
}

// reset makes a ready for another request.
func (a *fileAnswer) reset() {
	if a.files == nil {
		return
	}
	if a.body != nil {
		a.body.Release()
	}
	*a = fileAnswer{path: a.path[:0]}
}

// findFile makes the response of x, but for its body, from the file that it is to
// be answered by. It is false when that has to wait for the disk: x comes back
// here by fileReady.
func (s *session) findFile(x *exchange) bool {
	a := &x.file
	cache := s.p.fileCache(a.files)
	for {
		if a.entry == nil {
			a.entry = cache.entry(x)
		}
		done, ok := cache.advance(a.entry, x)
		if !ok {
			x.state = exchangeFinding
			return false
		}
		if a.entry = nil; done {
			a.found = true
			return true
		}
	}
}

// fileReady goes on with x, whose file's entry knows more than before.
func (p *protocol) fileReady(x *exchange) {
	if x.state == exchangeOrphan {
		p.release(x)
		return
	}
	x.state = exchangeDone
	x.ref.Conn().State.(*session).proceed()
}

// sendFile sends the head of x's response and the file behind it. It is false
// until the last octet is queued.
func (s *session) sendFile(x *exchange) bool {
	a, resp := &x.file, &x.ctx.Response
	x.begun = true
	x.finishHead(resp, s.closesAfter(x))
	resp.Header.SetContentLength(int(a.size))
	head := resp.Header.AppendBytes(s.p.fileHead[:0])
	s.p.fileHead = head
	if !s.p.clean(head, &resp.Header) {
		s.replaceResponse(x)
		return true
	}
	x.state = exchangeSending
	s.c.SendFile(head, a.body, a.at, a.size, x.limits.write, fileSent)
	return false
}

// fileSent follows the last octet of a file, or an error: the client sees a
// truncated body, not a wrong one.
func fileSent(c *conn.Conn, err error) {
	s := c.State.(*session)
	x := s.first
	x.state = exchangeDone
	if err != nil {
		s.p.cfg.logger.Printf("httpcore: file for %s %s: %v", x.ctx.Method(), x.ctx.RequestURI(), err)
		c.Abort(err)
	}
	s.proceed()
}
