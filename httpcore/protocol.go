//go:build linux

package httpcore

import (
	"bufio"
	"bytes"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
)

// protocol is HTTP/1.1 on one loop: the conn.Handler of the loop's
// connections, with what they share. It belongs to the loop's goroutine.
type protocol struct {
	cfg          *config
	shared       *shared
	loop         *conn.Loop
	pool         *pool // nil when handlers run inline
	runners      runners
	timed        *requestTimers // the newest request with timers
	timeoutSlots chan struct{}
	ending       chan struct{} // all contexts' Done, if clients that go do not matter; else nil

	spares       spares
	idleSessions []*session

	headBytes bytes.Reader // what parser reads from
	parser    *bufio.Reader
	guard     guard
	memo      headMemo
	usual     usualHead
	cleanHead []byte    // the last response head that was found clean
	clock     time.Time // the time of day at clockAt
	clockAt   int64
	turn      time.Time // the time of day at turnAt, the turn's
	turnAt    int64
	base      time.Time // the time at which the loop's clock showed baseAt
	baseAt    int64
	local     *netip.AddrPort // the last connection's
	files     []*fileCache    // of each Files in use
	fileHead  []byte          // where heads before files are built
	loggedAt  int64           // when a failure was last logged, 0: never
	responses uint64
	times     *times // how long they took; nil while nobody looks
}

// connIDs numbers connections, for RequestCtx.ConnID.
var connIDs atomic.Uint64

func newProtocol(sh *shared, l *conn.Loop) *protocol {
	p := &protocol{cfg: &sh.cfg, shared: sh, loop: l, timeoutSlots: sh.timeoutSlots}
	p.base, p.baseAt = time.Now(), l.Clock() // in this order: no time shall lie ahead
	p.parser = bufio.NewReaderSize(&p.headBytes, sh.cfg.headLimit)
	if sh.cfg.withoutDisconnectCancel {
		p.ending = make(chan struct{})
	}
	workers, _ := sh.cfg.poolLimits()
	p.runners.limit = int(workers)
	if sh.cfg.dispatch != Inline {
		p.pool = newPool(p)
	}
	return p
}

// turnTime returns the time of day, once per turn. The clock is read once a
// second and carried on by the loop's in between.
func (p *protocol) turnTime() time.Time {
	now := p.loop.Now()
	if now == p.turnAt {
		return p.turn
	}
	if now-p.clockAt >= int64(time.Second) || p.clock.IsZero() {
		t := time.Now()
		// The turn may have begun a while ago: a time must not lie ahead.
		late := t.Sub(p.base) - time.Duration(now-p.baseAt)
		if late < 0 { // base was read later than this
			p.base, late = p.base.Add(late), 0
		}
		p.clock, p.clockAt = t.Add(-late), now
	}
	p.turnAt, p.turn = now, p.clock.Add(time.Duration(now-p.clockAt))
	return p.turn
}

const idleSessions = 1024 // kept for reuse

func (p *protocol) acquire(s *session) *exchange {
	x := p.spares.take()
	if x == nil {
		x = newExchange(p)
	}
	x.begin(s)
	return x
}

func (p *protocol) release(x *exchange) {
	if x.ordinary() {
		x.renew()
		p.spares.put(x)
		return
	}
	if x.abandoned || x.closesUserValues() {
		return
	}
	if *inside.hijackHandler.of(unsafe.Pointer(&x.ctx)) != nil {
		x.peer.failHandover() // whoever has its Conn must not reach another request's
		return
	}
	x.end()
	p.spares.put(x)
}

// Opened, Data, EOF, Drained, TimedOut and Closed implement conn.Handler.

func (p *protocol) Opened(c *conn.Conn) {
	s := p.newSession(c)
	if why := p.shared.admit(s); why != admitted {
		p.reject(s, why)
		return
	}
	s.setState(fasthttp.StateNew)
	if p.loop.Draining() { // accepted just before the end
		s.drain()
		return
	}
	if d := p.cfg.limits.read; d > 0 { // fasthttp counts it from the opening
		s.timing = timingIdle
		c.SetTimeout(conn.ReadTimer, d)
	}
}

// localAddr returns c's own address. Connections to the same one share it: an
// idle connection is as small as can be.
func (p *protocol) localAddr(c *conn.Conn) *netip.AddrPort {
	if a := c.LocalAddr(); p.local == nil || *p.local != a {
		shared := a // not a itself, which would escape each time
		p.local = &shared
	}
	return p.local
}

func (p *protocol) newSession(c *conn.Conn) *session {
	var s *session
	if n := len(p.idleSessions); n > 0 {
		s = p.idleSessions[n-1]
		p.idleSessions = p.idleSessions[:n-1]
	} else {
		s = new(session)
	}
	s.p, s.c, s.id, s.opened = p, c, connIDs.Add(1), p.turnTime().UnixNano()
	c.State = s
	if p.cfg.fs.ConnState != nil {
		s.facade = &facade{nc: bareConn(c.NetConn()), remote: c.RemoteAddr(), local: c.LocalAddr()}
	}
	s.served, _ = c.NetConn().(*servedConn)
	return s
}

func (p *protocol) Data(c *conn.Conn, b []byte) int { return c.State.(*session).data(b) }

func (p *protocol) EOF(c *conn.Conn) { c.State.(*session).eof() }

func (p *protocol) Drained(c *conn.Conn) { c.State.(*session).drained() }

func (p *protocol) TimedOut(c *conn.Conn, which conn.Timer) {
	s := c.State.(*session)
	if which == conn.WriteTimer {
		if c.Queued() > 0 { // else it is the stream that has nothing to say
			c.Abort(errWriteTimeout)
		}
		return
	}
	s.readTimedOut()
}

func (p *protocol) Closed(c *conn.Conn, err error) {
	s := c.State.(*session)
	s.setState(fasthttp.StateClosed)
	if err != nil {
		if s.first != nil || s.held || s.reading != nil || s.head.started() { // else it was merely over
			s.failed(err)
		}
		if p.cfg.fs.LogAllErrors {
			p.logFailure(s, err)
		}
	}
	p.shared.leave(s)
	p.forget(s)
}

// forget ends the session of a connection that is closed or hijacked.
func (p *protocol) forget(s *session) {
	if sc := s.served; sc != nil {
		close(sc.done)
	}
	s.closed()
	*s = session{}
	if len(p.idleSessions) < idleSessions {
		p.idleSessions = append(p.idleSessions, s)
	}
}

// TurnEnd has the turn's requests handled, and reports whether the loop is still
// this goroutine's.
func (p *protocol) TurnEnd() bool {
	return p.pool == nil || p.pool.turnEnd()
}

// Drain closes the connections that are idle; the others close after their
// next response.
func (p *protocol) Drain() {
	if p.ending != nil {
		close(p.ending)
	}
	p.cancelTimers()
	p.loop.Each(func(c *conn.Conn) { c.State.(*session).drain() })
}
