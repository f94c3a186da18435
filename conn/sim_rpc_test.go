//go:build linux

package conn

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/ringcore/ringcore/conn/simdriver"
)

// TestSimRequests serves requests (a length, then that many bytes) that need
// time to answer: a request is taken only when it is there as a whole, one at
// a time, answered from a task, and the next one is offered again by
// Redeliver. Peers come up to everything: they stop within a request, send
// the next before the answer, do not read, reset. Timeouts guard both sides.
func TestSimRequests(t *testing.T) {
	simulate(t, func(s *sim) {
		h := &simRPC{sim: s, timeouts: s.chance(0.5), inTask: s.chance(0.7)}
		o := s.options()
		o.ReadLimit = 4 + maxSimRequest + s.rng.IntN(3)*1000
		jumps := s.chance(0.3)
		h.sure = !jumps && !h.timeouts
		s.begin(simdriver.Options{NoJumps: !jumps})
		for i := range s.crowd() {
			h.dial(i)
		}
		s.run(o, func(l *Loop) Handler { return h })
		for i, p := range h.peers {
			if h.sure && p.honest && p.answered != len(p.requests) {
				s.failf("peer %d got %d of %d answers", i, p.answered, len(p.requests))
			}
		}
	})
}

const maxSimRequest = 3000

// simRPC is the server. An answer is as long as its request, each byte one more.
type simRPC struct {
	*sim
	peers    []*simClient
	timeouts bool // armed, and short enough to pass at times
	inTask   bool // answers are given by tasks; else some at once
	sure     bool // honest peers get all answers
}

type simRPCConn struct {
	busy   bool
	eof    bool
	answer []byte // what is left to be written
	closed bool
}

// simClient is a client.
type simClient struct {
	end      *simdriver.End
	requests [][]byte
	next     int // the request to be sent next
	answered int
	honest   bool // plays by the rules until it has all its answers
	pipeline bool
	got      []byte
	over     bool
}

func (h *simRPC) dial(i int) {
	p := &simClient{honest: h.chance(0.7), pipeline: h.chance(0.4)}
	h.peers = append(h.peers, p)
	h.live++
	for range 1 + h.rng.IntN(8) {
		size := h.rng.IntN([]int{1, 50, maxSimRequest}[h.rng.IntN(3)] + 1)
		r := append(binary.BigEndian.AppendUint32(nil, uint32(size)), h.random(size)...)
		p.requests = append(p.requests, r)
	}
	over := func() {
		if !p.over {
			p.over = true
			h.ended()
		}
	}
	p.end = &simdriver.End{
		Data: func(b []byte) {
			p.got = append(p.got, b...)
			h.answers(i, p)
		},
		EOF: func() {
			if !p.over && p.honest && h.sure && p.answered < len(p.requests) {
				h.failf("peer %d: EOF after %d of %d answers", i, p.answered, len(p.requests))
			}
			p.end.CloseWrite()
			over()
		},
		Reset: func() {
			if p.honest && h.sure && p.answered < len(p.requests) {
				h.failf("peer %d: reset after %d of %d answers", i, p.answered, len(p.requests))
			}
			over()
		},
	}
	h.world.Dial(h.duration(20*time.Millisecond), p.end, func() {
		if !p.honest {
			h.misbehave(p, over)
			return
		}
		for p.send() && p.pipeline {
		}
	})
}

// send sends the next request and reports whether there was one.
func (p *simClient) send() bool {
	if p.next == len(p.requests) {
		return false
	}
	p.end.Send(p.requests[p.next])
	p.next++
	return true
}

func (h *simRPC) misbehave(p *simClient, over func()) {
	for range h.rng.IntN(len(p.requests)) {
		p.send()
	}
	p.end.Send(p.requests[0][:h.rng.IntN(len(p.requests[0]))])
	switch h.rng.IntN(4) {
	case 0:
		p.end.AbortConn()
		over()
	case 1: // silent until the server has enough, or for a while
		h.world.After(h.duration(time.Second), p.end.CloseWrite)
	case 2: // does not read
		p.end.Hold(true)
		h.world.After(h.duration(time.Second), func() {
			p.end.AbortConn()
			over()
		})
	default:
		p.end.CloseWrite()
	}
}

// answers takes the answers that are there as a whole.
func (h *simRPC) answers(i int, p *simClient) {
	for p.answered < p.next && len(p.got) >= len(p.requests[p.answered]) {
		want := p.requests[p.answered]
		for k, b := range p.got[:len(want)] {
			if k < 4 && b != want[k] || k >= 4 && b != want[k]+1 {
				h.failf("peer %d: byte %d of answer %d is wrong", i, k, p.answered)
				return
			}
		}
		p.got = p.got[len(want):]
		p.answered++
		if p.honest && !p.pipeline {
			p.send()
		}
	}
	if p.answered == p.next && len(p.got) > 0 {
		h.failf("peer %d: an answer to nothing", i)
	}
	if p.honest && p.answered == len(p.requests) && p.next == p.answered {
		p.honest = false // it has what it wanted
		p.end.CloseWrite()
	}
}

func (h *simRPC) timeout() time.Duration { return time.Millisecond + h.duration(400*time.Millisecond) }

func (h *simRPC) Opened(c *Conn) {
	h.opens++
	c.State = &simRPCConn{}
	h.guard(c)
}

// guard has the peer send its next request in time.
func (h *simRPC) guard(c *Conn) {
	if h.timeouts {
		c.SetTimeout(ReadTimer, h.timeout())
	}
}

func (h *simRPC) Data(c *Conn, p []byte) int {
	x := c.State.(*simRPCConn)
	if x.busy {
		return 0
	}
	if len(p) < 4 {
		return 0
	}
	n := 4 + int(binary.BigEndian.Uint32(p))
	if n > 4+maxSimRequest {
		h.failf("a request of %d bytes", n)
		c.Abort(errSim)
		return 0
	}
	if len(p) < n {
		return 0
	}
	x.answer = append([]byte(nil), p[:n]...)
	for i := range x.answer[4:] {
		x.answer[4+i]++
	}
	x.busy = true
	c.SetTimeout(ReadTimer, 0)
	if !h.inTask && h.chance(0.5) {
		h.write(c)
		if !x.busy {
			c.Redeliver()
		}
		return n
	}
	paused := h.chance(0.3)
	if paused {
		c.PauseReceive()
	}
	ref := c.Ref()
	h.later(5*time.Millisecond, func() {
		if c := ref.Conn(); c != nil {
			if paused {
				c.ResumeReceive()
			}
			h.write(c)
			if !x.busy {
				h.next(c)
			}
		}
	})
	return n
}

// write writes what the output takes of the answer.
func (h *simRPC) write(c *Conn) {
	x := c.State.(*simRPCConn)
	if h.timeouts {
		c.SetTimeout(WriteTimer, h.timeout())
	}
	if room := c.Reserve(len(x.answer)); room != nil && h.chance(0.5) {
		c.Commit(copy(room, x.answer))
		x.answer = nil
	} else {
		x.answer = x.answer[c.Write(x.answer):]
	}
	x.busy = len(x.answer) > 0
}

// next goes on after an answer.
func (h *simRPC) next(c *Conn) {
	x := c.State.(*simRPCConn)
	h.guard(c)
	c.Redeliver()
	if x.eof && !x.busy {
		c.Close()
	}
}

func (h *simRPC) EOF(c *Conn) {
	x := c.State.(*simRPCConn)
	x.eof = true
	if !x.busy {
		c.Close()
	}
}

func (h *simRPC) Drained(c *Conn) {
	x := c.State.(*simRPCConn)
	if x.busy && len(x.answer) > 0 {
		if h.write(c); !x.busy {
			h.next(c)
		}
	}
}

func (h *simRPC) TimedOut(c *Conn, which Timer) {
	if which == WriteTimer && h.chance(0.5) {
		c.Abort(errSim)
		return
	}
	c.Close()
}

func (h *simRPC) Closed(c *Conn, _ error) {
	x := c.State.(*simRPCConn)
	if x.closed {
		h.failf("closed twice")
	}
	x.closed = true
	h.closes++
}
