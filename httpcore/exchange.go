//go:build linux

package httpcore

import (
	"io"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
)

// exchange is one request and its response. It exists from the end of the
// request's head to the last byte of the response; a connection between
// requests has none. Exchanges are reused within their loop.
type exchange struct {
	ctx    fasthttp.RequestCtx
	shell  fasthttp.Server // what ctx takes for its server
	done   chan struct{}   // ctx.Done()
	closed bool            // done has been closed

	p    *protocol
	ref  conn.Ref
	peer peer
	next *exchange // in the loop's free list or in its session
	task conn.Task // brings it back to the loop

	state      exchangeState
	chain      *exchange      // the pipelined request that the same worker handles next
	queued     *exchange      // the next job to run on the loop
	suspension *suspension    // after Suspend, until the answer is there
	timers     *requestTimers // of After and Every, until the answer is there
	watched    *requestTimers // the same, once the loop knows them; the loop's
	route      *route         // with Adaptive dispatch
	meaning    headMeaning    // of its head, as far as headMemo knows it
	took       int64          // how long its handler ran, in nanoseconds
	lost       bool           // the loop was taken over from its handler
	usual      bool           // respondUsual has written its response
	gone       atomic.Bool    // the connection is gone: not to be handled any more

	file   fileAnswer // after Files has handled it
	limits limits
	body   body
	marks
	err    error
	rest   [2][]byte // of the response, not yet written
	hijack fasthttp.HijackHandler
	read   []byte // buffer for a short body stream
}

// marks are what distinguishes an exchange from the most ordinary one, which
// has none.
type marks struct {
	http10    bool // or not known yet
	declined  bool // ExpectHandler does not want it
	last      bool // the connection closes after the response
	final     bool // … unless it is hijacked: DisableKeepalive, MaxRequestsPerConn
	panicked  bool
	skipped   bool // not handled, as the connection closes before its turn
	abandoned bool // after RequestCtx.TimeoutError another goroutine may still use ctx
	begun     bool // the response's head is written
	streamed  bool // the goroutine that wrote the body stream has ended
}

// exchangeState says who has an exchange. It belongs to the loop's goroutine.
//
//	        head and body parsed        dispatched          handler returned
//	reading ───────────────────► waiting ───────► running ──────────────────► done ─► released
//	                                                 │                         │ ▲
//	                     connection gone             ▼        a body stream    ▼ │
//	                                              orphan ◄──────────────── streaming
type exchangeState uint8

const (
	exchangeReading   exchangeState = iota // its body is being received
	exchangeWaiting                        // for its turn to be handled
	exchangeRunning                        // its handler runs on another goroutine
	exchangeDone                           // to be answered
	exchangeStreaming                      // a goroutine writes its body stream
	exchangeFinding                        // its file is being opened
	exchangeSending                        // its file is being sent
	exchangeOrphan                         // as running or streaming, but nobody wants the answer
)

// newExchange prepares what stays the same for all requests of a loop.
func newExchange(p *protocol) *exchange {
	x := &exchange{p: p, done: p.ending, marks: marks{http10: true}}
	if x.done == nil {
		x.done = make(chan struct{})
	}
	x.peer.x = x
	x.task.Run = x.finished
	fs := p.cfg.fs
	s := &x.shell
	s.Logger, s.Concurrency, s.FormValueFunc = p.cfg.logger, fs.Concurrency, fs.FormValueFunc
	s.ReduceMemoryUsage, s.LazyRequestTime = fs.ReduceMemoryUsage, fs.LazyRequestTime
	s.ReadBufferSize, s.WriteBufferSize = fs.ReadBufferSize, fs.WriteBufferSize
	shell := unsafe.Pointer(s)
	inside.done.of(shell).Store(&x.done)
	inside.concurrencyChOnce.of(shell).Do(func() {
		*inside.concurrencyCh.of(shell) = p.timeoutSlots // TimeoutHandler's limit is the server's
	})
	x.ctx.Init2(&x.peer, p.cfg.logger, fs.ReduceMemoryUsage)
	ctx := unsafe.Pointer(&x.ctx)
	*inside.server.of(ctx) = s
	*inside.connID.of(ctx) = 0 // bound to no connection, see begin
	if fs.FormValueFunc != nil {
		*inside.formValueFunc.of(ctx) = fs.FormValueFunc
	}
	return x
}

// begin binds x to the next request of s.
func (x *exchange) begin(s *session) {
	ctx := unsafe.Pointer(&x.ctx)
	if id := inside.connID.of(ctx); *id != s.id { // else of the same connection, as when pipelined
		*id = s.id
		*inside.connTime.of(ctx) = time.Unix(0, s.opened)
		x.ref = s.c.Ref()
		x.peer.remote, x.peer.local = s.remote, *s.local
	}
	if nc := s.c.NetConn(); nc != nil {
		x.beginNet(bareConn(nc))
	}
	if s.ended || x.p.loop.Draining() { // nobody will tell it later
		x.cancel()
	}
	*inside.connRequestNum.of(ctx) = s.requests
	*inside.time.of(ctx) = x.p.turnTime()
	if x.p.cfg.special {
		x.configure()
	}
}

// configure sets what some servers have otherwise than most.
func (x *exchange) configure() {
	ctx, fs := unsafe.Pointer(&x.ctx), x.p.cfg.fs
	if fs.SecureErrorLogMessage {
		for _, f := range inside.secure {
			*f.of(ctx) = true
		}
	}
	if fs.NoDefaultDate {
		*inside.noDefaultDate.of(ctx) = true
	}
	if fs.NoDefaultContentType {
		x.ctx.Response.Header.SetNoDefaultContentType(true)
	}
	if fs.DisableHeaderNamesNormalizing {
		x.ctx.Request.Header.DisableNormalizing()
		x.ctx.Response.Header.DisableNormalizing()
	}
}

// beginNet binds x to a connection that is no socket.
func (x *exchange) beginNet(nc net.Conn) {
	x.peer.nc = nc
	if tc, ok := nc.(tlsConn); ok {
		ctx := unsafe.Pointer(&x.ctx)
		*inside.conn.of(ctx) = tlsPeer{&x.peer, tc}
		*inside.isTLS.of(ctx) = true
	}
}

// largeBody is the body buffer that an exchange may keep between requests.
const largeBody = 64 << 10

// end makes x ready for another request.
func (x *exchange) end() {
	x.ctx.Request.ReleaseBody(largeBody)
	x.ctx.Response.ReleaseBody(largeBody)
	x.ctx.Request.Reset()
	x.ctx.Response.Reset()
	ctx := unsafe.Pointer(&x.ctx)
	*inside.remoteAddr.of(ctx) = nil
	*inside.hijackHandler.of(ctx) = nil
	*inside.hijackNoResponse.of(ctx) = false
	if x.closed {
		x.done, x.closed = make(chan struct{}), false
		inside.done.of(unsafe.Pointer(&x.shell)).Store(&x.done)
	}
	x.body.reset()
	x.state, x.chain, x.route, x.suspension, x.watched = exchangeReading, nil, nil, nil, nil
	x.endTimers()
	if x.gone.Load() { // an atomic store for each request would cost more than this
		x.gone.Store(false)
	}
	x.marks, x.limits, x.meaning, x.usual = marks{http10: true}, limits{}, headMeaning{}, false
	x.err, x.hijack = nil, nil
	x.peer.reset()
	x.file.reset()
	if x.peer.nc != nil {
		x.peer.nc = nil
		*inside.conn.of(ctx) = &x.peer
	}
	x.rest = [2][]byte{}
	if cap(x.read) > largeBody {
		x.read = nil
	}
}

// cancel closes ctx.Done(): the client is gone or the server shuts down.
func (x *exchange) cancel() {
	if !x.closed && x.p.ending == nil {
		x.closed = true
		close(x.done)
		if x.watched != nil {
			x.watched.cancel(contextEnded)
		}
	}
}

// closesUserValues reports whether there are user values to be closed. Then x is
// not used again: they are closed on a goroutine of its own, since Close is the
// user's code and may block or panic, and may look at request and response.
func (x *exchange) closesUserValues() bool {
	found := false
	x.ctx.VisitUserValuesAll(func(_, v any) {
		if _, ok := v.(io.Closer); ok {
			found = true
		}
	})
	if found {
		go x.closeUserValues()
	}
	return found
}

func (x *exchange) closeUserValues() {
	defer func() {
		if r := recover(); r != nil {
			x.p.cfg.logger.Printf("httpcore: panic in the Close of a user value: %v\n%s", r, debug.Stack())
		}
	}()
	x.ctx.ResetUserValues()
	x.ctx.Request.Reset() // files of a form, streams
	x.ctx.Response.Reset()
}
