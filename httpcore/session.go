//go:build linux

package httpcore

import (
	"errors"
	"io"
	"net/netip"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
)

var errWriteTimeout = errors.New("httpcore: the client did not take the response in time")

// maxPipelined is how many pipelined requests of one connection are parsed
// ahead and handed to a worker together.
const maxPipelined = 64

// session is the HTTP side of a connection. Between requests it is all that
// there is of it.
type session struct {
	p *protocol
	c *conn.Conn

	id       uint64
	opened   int64  // unix time in nanoseconds
	requests uint64 // begun so far
	remote   netip.AddrPort
	local    *netip.AddrPort // shared by the connections to one address
	facade   *facade         // what ConnState sees, nil when nobody looks
	served   *servedConn     // who waits in ServeConn, nil for nobody

	head               headScanner
	timing             timing
	held               bool // its input is kept for the end of the turn, see holdPlain
	closing            bool // the connection closes once what is in flight is answered
	ended              bool // the peer has closed its side
	detached           bool // a hijack handler gets the connection
	counted, countedIP bool // in shared
	active             bool // ConnState has been told of a request

	reading *exchange // its body is being received

	// The requests whose responses are not yet wholly written, oldest first.
	// Handlers of one connection run one after the other, as fasthttp's do.
	first, newest *exchange
	inFlight      int
}

// timing is what the read timer is armed for.
type timing uint8

const (
	timingNothing timing = iota
	timingHead
	timingBody
	timingIdle
)

// data takes pipelined requests from b and returns how many bytes it used.
func (s *session) data(b []byte) int {
	used := 0
	s.held = false // there is more than that
	for used < len(b) && !s.c.Closing() {
		if s.reading != nil {
			n, whole := s.readBody(b[used:])
			used += n
			if !whole {
				if s.ended && used == len(b) && s.streaming() {
					s.breakStream(s.reading, io.ErrUnexpectedEOF)
				}
				break
			}
		} else {
			if s.closing || s.detached || !s.takesMore() {
				break // the rest waits for the answers
			}
			if used == 0 && s.holdPlain(b) {
				return 0
			}
			n := s.plain(b[used:])
			if n == 0 {
				n = s.readHead(b[used:])
			}
			if n == 0 {
				break
			}
			used += n
		}
		if s.p.pool == nil && s.reading == nil {
			s.answer() // before the next one is parsed: it may be the last
		}
	}
	s.settle()
	return used
}

// takesMore reports whether another request may be parsed: a few are batched
// for one worker, but none while a handler of this connection runs, and none
// behind a request after which the client may speak another protocol.
func (s *session) takesMore() bool {
	return s.first == nil || (s.first.state == exchangeWaiting && s.inFlight < maxPipelined &&
		(s.newest.meaning.staysHTTP || !maySwitch(&s.newest.ctx.Request.Header)))
}

// maySwitch reports whether the octets after a request may not be HTTP.
func maySwitch(h *fasthttp.RequestHeader) bool { return h.IsConnect() || h.ConnectionUpgrade() }

// readHead begins a request if b holds a whole head, and returns its length.
func (s *session) readHead(b []byte) int {
	if m := &s.p.memo; s.head == (headScanner{}) && m.begins(b) {
		n := len(m.head)
		s.begin(b[:n], true)
		return n
	}
	n, err := s.head.scan(b)
	if limit := s.p.cfg.headLimit; n > limit || (n == 0 && err == nil && len(b) > limit) {
		err = errHeadTooLarge
	}
	switch {
	case s.first != nil && (err != nil || n == 0):
		// In its turn: the clock of this client does not run while it waits
		// for us, and a hijack handler may want these octets.
	case err != nil:
		s.refuse(err)
	case n > 0:
		s.head.reset()
		s.begin(b[:n], false)
		return n
	case s.head.started():
		if s.timing != timingHead {
			s.activate()
			s.startTimer(timingHead)
		}
	}
	return 0
}

// settle answers what can be answered and looks what is next. What was received
// has been offered to data before: what is left of it makes no whole request.
func (s *session) settle() {
	s.answer()
	if s.first != nil || s.held || s.detached || s.c.Closing() || s.reading != nil && s.reading.body.deciding {
		return
	}
	switch {
	case s.ended && (s.reading != nil || s.head.started()):
		s.refuse(errIncomplete)
	case s.reading != nil:
	case s.closing, s.ended, s.p.loop.Draining() && !s.head.started():
		s.c.Close()
	case !s.head.started():
		if s.active {
			s.active = false
			s.setState(fasthttp.StateIdle)
		}
		s.startTimer(timingIdle)
	}
}

// proceed goes on after a handler has finished or room to write has come.
func (s *session) proceed() {
	s.answer()
	if s.first == nil && s.c.Unconsumed() > 0 && !s.detached && !s.c.Closing() {
		s.c.Redeliver() // data settles
	} else {
		s.settle()
	}
}

// append adds x to the requests to be answered.
func (s *session) append(x *exchange) {
	x.next = nil
	if s.first == nil {
		s.first = x
	} else {
		s.newest.next = x
	}
	s.newest = x
	s.inFlight++
}

// answer runs and answers the requests in order, as far as it goes now.
func (s *session) answer() {
	for x := s.first; x != nil && !s.detached; x = s.first {
		if s.reading == x { // its handler may need the body
			s.sendContinue()
		}
		if x.state == exchangeWaiting {
			if s.reading == x && s.p.pool == nil {
				x.state = exchangeRunning // it will wait for the loop
				go x.runAside()
				return
			}
			if s.p.pool != nil {
				if !s.p.pool.submit(x) {
					continue
				}
				return
			}
			if !x.run() {
				x.state = exchangeRunning // until it is resumed
				return
			}
			x.state = exchangeDone
		}
		if x.state != exchangeDone || !s.respond(x) {
			return
		}
		s.first = x.next
		s.inFlight--
		s.answered(x)
		if s.reading == x {
			s.leaveUnread(x)
		} else {
			s.p.release(x)
		}
	}
	s.sendContinue()
}

// answered counts a response.
func (s *session) answered(x *exchange) {
	s.p.responses++
	if s.p.times != nil {
		s.p.noteTime(x)
	}
}

// streaming reports whether the body that is being received goes to a handler
// (or to nobody) as it comes.
func (s *session) streaming() bool { return s.reading != nil && s.reading.body.stream != nil }

// startTimer arms the read timer for t unless it is armed for it already:
// deadlines are absolute, dribbling does not extend them.
func (s *session) startTimer(t timing) {
	if s.timing == t {
		return
	}
	s.timing = t
	cfg := s.p.cfg
	switch t {
	case timingHead:
		s.c.SetTimeout(conn.ReadTimer, cfg.headerTimeout)
	case timingBody:
		s.c.SetTimeout(conn.ReadTimer, s.reading.limits.read)
	case timingIdle:
		s.c.SetTimeout(conn.ReadTimer, cfg.idleTimeout)
	default:
		s.c.SetTimeout(conn.ReadTimer, 0)
	}
}

// readTimedOut: the peer was too slow with a head or a body, or idle too long.
func (s *session) readTimedOut() {
	was := s.timing
	s.timing = timingNothing
	switch {
	case s.streaming():
		s.breakStream(s.reading, errTimeout)
		return
	case was == timingHead, was == timingBody:
		s.refuse(errTimeout)
		return
	}
	if s.first == nil {
		s.c.Close()
	}
}

// eof: the peer sends nothing more. It may still be reading: what it has asked
// for is answered.
func (s *session) eof() {
	s.ended = true
	if s.streaming() && s.c.Unconsumed() == 0 { // else data comes to it
		s.breakStream(s.reading, io.ErrUnexpectedEOF)
	}
	s.cancel()
	s.settle()
}

// cancel closes the contexts of the requests in flight.
func (s *session) cancel() {
	for x := s.first; x != nil; x = x.next {
		x.cancel()
	}
	if s.reading != nil {
		s.reading.cancel()
	}
}

// drain: the server shuts down. A request on its way is answered first; its
// handler learns of it, as fasthttp's do.
func (s *session) drain() {
	s.cancel()
	busy := s.first != nil || s.held || s.reading != nil || s.head.started() || s.c.Pending()
	if !busy {
		s.c.Close()
	}
}

// closed: the connection is gone. Handlers that still run learn of it from
// their contexts, and their exchanges come back through their tasks.
func (s *session) closed() {
	if s.streaming() {
		s.endStream(s.reading, io.ErrUnexpectedEOF)
	} else if x := s.reading; x != nil && !x.body.deciding {
		s.p.release(x)
	}
	for x := s.first; x != nil; {
		next := x.next
		x.next = nil
		x.cancel()
		switch x.state {
		case exchangeRunning, exchangeStreaming, exchangeFinding:
			x.gone.Store(true)
			x.peer.failWaiting()
			x.state = exchangeOrphan
		default:
			s.p.release(x)
		}
		x = next
	}
}
