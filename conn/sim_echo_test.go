//go:build linux

package conn

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/ringcore/ringcore/conn/simdriver"
)

// TestSimEcho echoes under every fault, while connections are paused, closed,
// aborted, detached and time out at any moment. Whoever was left alone gets
// every byte back, in order, and a close in good order; everybody else a
// prefix of that.
func TestSimEcho(t *testing.T) {
	simulate(t, func(s *sim) {
		h := &simEcho{sim: s, meddle: s.rng.Float64() * float64(s.rng.IntN(2))}
		handler := Handler(h)
		if s.chance(0.5) {
			handler = simDrainer{h}
		}
		s.begin(simdriver.Options{Calm: s.chance(0.02)})
		for i := range s.crowd() {
			h.dial(i)
		}
		if s.chance(0.1) { // shut down in the middle of it, perhaps cut short
			h.cutShort = true
			after := s.duration(50 * time.Millisecond)
			s.stop(after)
			if s.chance(0.5) {
				s.cutAfter(after + s.duration(30*time.Millisecond))
			}
		}
		s.run(s.options(), func(*Loop) Handler { return handler })
		h.check()
	})
}

// TestSimEchoDriverFails: the driver gives up at some point. Every handler
// hears of the end, and nothing is left.
func TestSimEchoDriverFails(t *testing.T) {
	simulate(t, func(s *sim) {
		h := &simEcho{sim: s, meddle: s.rng.Float64() * 0.5, cutShort: true}
		s.mayFail = true
		s.begin(simdriver.Options{FailAfter: 1 + s.rng.IntN(60)})
		for i := range s.crowd() {
			h.dial(i)
		}
		s.run(s.options(), func(*Loop) Handler { return h })
		if s.loop.engine.Err() == nil && !s.stopped {
			s.failf("the engine has no error")
		}
		// The end has been; this must not hang.
		_ = s.loop.engine.Shutdown(s.ctx)
	})
}

// TestSimMemory: slow readers use up the loop's memory for output. Everybody
// gets everything in the end.
func TestSimMemory(t *testing.T) {
	refused := 0
	simulate(t, func(s *sim) {
		if s.seed%60 != 0 {
			return
		}
		h := &simEcho{sim: s, size: 40_000, room: 500, slow: 0.9}
		o := Options{MaxQueued: slabSize, HighWater: 100_000}
		s.begin(simdriver.Options{MaxWaits: 10_000_000}) // a single small buffer may be all there is
		for i := range 100 {
			h.dial(i)
		}
		s.run(o, func(*Loop) Handler { return h })
		h.check()
		refused += h.refused
	})
	if refused == 0 {
		t.Error("memory never ran out")
	}
}

// simDrainer leaves connections alone when the engine shuts down.
type simDrainer struct{ *simEcho }

func (simDrainer) Drain() {}

// simEcho is the server.
type simEcho struct {
	*sim
	meddle   float64 // how likely a connection is disturbed
	cutShort bool    // nobody is sure to get everything
	peers    []*simPeer
	size     int     // of what a peer sends; 0: it differs
	room     int     // of the peers' network; 0: the seed's
	slow     float64 // how likely a peer reads late
	refused  int     // writes for which there was no memory
	held     []Ref   // connections that hold their input
	cutOff   bool    // connections were
}

// simPeer is a client of simEcho. The first byte that it sends is its number.
type simPeer struct {
	end       *simdriver.End
	sent      []byte
	got       int
	disturbed bool
	eof, over bool
}

// simEchoConn is what the server keeps of a connection.
type simEchoConn struct {
	peer  *simPeer // nil until its first byte has come
	done  bool     // Closed, or detached
	eof   bool
	later bool // redeliver is at it
}

func (h *simEcho) dial(number int) {
	size := h.size
	if size == 0 {
		size = h.someSize()
	}
	p := &simPeer{sent: append([]byte{byte(number)}, h.random(size)...)}
	patient := h.chance(0.2) // closes its side only when it has everything
	h.peers = append(h.peers, p)
	h.live++
	over := func() {
		if !p.over {
			p.over = true
			h.ended()
		}
	}
	p.end = &simdriver.End{
		Room: h.room,
		Data: func(b []byte) {
			h.wantNext(number, p.got, b, p.sent)
			if p.got += len(b); p.got == len(p.sent) && patient {
				p.end.CloseWrite()
			}
		},
		EOF: func() {
			p.eof = true
			if h.chance(0.5) {
				p.end.CloseWrite() // the server may be the first to close
			}
			over()
		},
		Reset: func() {
			if !p.disturbed && !h.cutShort {
				h.failf("peer %d was reset", number)
			}
			over()
		},
	}
	h.world.Dial(h.duration(30*time.Millisecond), p.end, func() {
		for rest := p.sent; len(rest) > 0; {
			n := min(len(rest), 1+h.rng.IntN(8000))
			p.end.Send(rest[:n])
			rest = rest[n:]
		}
		if h.chance(h.meddle / 4) {
			p.disturbed = true
			p.end.AbortConn()
			over()
			return
		}
		if !patient {
			p.end.CloseWrite()
		}
		if h.chance(max(h.slow, 0.2)) { // a slow reader
			p.end.Hold(true)
			h.world.After(h.duration(300*time.Millisecond), func() { p.end.Hold(false) })
		}
	})
}

func (h *simEcho) Opened(c *Conn) {
	h.opens++
	if h.cutOff {
		h.failf("a connection is opened although the engine cuts all off")
	}
	c.State = &simEchoConn{}
	if h.chance(h.meddle) {
		ref := c.Ref()
		h.later(40*time.Millisecond, func() {
			if c := ref.Conn(); c != nil {
				h.disturb(c)
			}
		})
	}
	if h.chance(0.2) {
		h.nap(c)
	}
}

// nap pauses receiving for a while. It disturbs nobody.
func (h *simEcho) nap(c *Conn) {
	ref := c.Ref()
	c.PauseReceive()
	h.later(10*time.Millisecond, func() {
		if c := ref.Conn(); c != nil {
			c.ResumeReceive()
		}
	})
}

// disturb does to c what its peer will notice.
func (h *simEcho) disturb(c *Conn) {
	x := c.State.(*simEchoConn)
	if x.peer == nil {
		return // nobody knows yet whom it would hit
	}
	x.peer.disturbed = true
	switch h.rng.IntN(8) {
	case 0:
		c.Abort(errSim)
	case 1, 2:
		c.Close()
	case 3:
		c.Close()
		c.PauseReceive()
		c.SetTimeout(ReadTimer, time.Hour)
	case 4:
		c.SetTimeout(ReadTimer, h.duration(20*time.Millisecond))
	case 5:
		c.SetTimeout(WriteTimer, h.duration(20*time.Millisecond))
		c.SetTimeout(ReadTimer, h.duration(20*time.Millisecond))
	case 6:
		h.detach(c)
	case 7:
		h.detach(c)
		h.disturb(c)
	}
}

func (h *simEcho) detach(c *Conn) {
	x := c.State.(*simEchoConn)
	calls := 0
	c.Detach(func(nc net.Conn, _ []byte, err error) {
		if calls++; calls > 1 {
			h.failf("Detach answers twice")
		}
		if err == nil || nc != nil {
			h.failf("Detach of a simulated socket brought %v, %v", nc, err)
		}
		if x.done {
			h.failf("Detach answers after Closed")
		}
	})
}

func (h *simEcho) Data(c *Conn, p []byte) int {
	x := c.State.(*simEchoConn)
	if x.done {
		h.failf("Data after Closed")
	}
	if x.peer == nil {
		if n := int(p[0]); n < len(h.peers) {
			x.peer = h.peers[n]
		} else {
			h.failf("the first byte is %d", n)
			return len(p)
		}
	}
	if h.chance(h.meddle / 8) {
		h.disturb(c)
		if c.Closing() {
			return h.rng.IntN(len(p) + 1)
		}
	}
	if h.chance(0.02) {
		h.nap(c)
	}
	switch h.rng.IntN(12) {
	case 0: // not now
		h.redeliver(c)
		return 0
	case 10, 11: // at the end of the turn, and what comes then does not lie idle
		n := c.Write(p[:h.rng.IntN(len(p))])
		c.HoldInput()
		h.held = append(h.held, c.Ref())
		return n
	case 1: // a piece at a time
		n := c.Write(p[:1+h.rng.IntN(len(p))])
		if h.chance(0.5) {
			c.Redeliver()
		} else {
			h.redeliver(c)
		}
		return n
	case 2, 3:
		n := min(len(p), 1+h.rng.IntN(2000))
		if room := c.Reserve(n); room != nil {
			c.Commit(copy(room[:n], p[:n]))
			c.Redeliver()
			return n
		}
	}
	n := c.Write(p)
	if n == 0 && c.Queued() == 0 {
		h.refused++
	}
	return n
}

// TurnEnd goes on with the input that is held, now or at the end of the next turn.
func (h *simEcho) TurnEnd() bool {
	held := h.held
	h.held = nil
	for _, ref := range held {
		c := ref.Conn()
		if c == nil {
			continue
		}
		if h.chance(0.2) {
			h.held = append(h.held, ref)
			h.later(time.Millisecond, func() {}) // a turn
			continue
		}
		for len(c.Input()) > 0 && !h.chance(0.1) {
			in := c.Input()
			n := c.Write(in[:1+h.rng.IntN(len(in))])
			if c.Consume(n); n == 0 {
				break
			}
		}
		if len(c.Input()) > 0 {
			c.ReleaseInput()
			h.redeliver(c)
		}
		h.finished(c)
	}
	return true
}

// redeliver comes back to what was left.
func (h *simEcho) redeliver(c *Conn) {
	x, ref := c.State.(*simEchoConn), c.Ref()
	if x.later {
		return
	}
	x.later = true
	h.later(3*time.Millisecond, func() {
		x.later = false
		if c := ref.Conn(); c != nil {
			c.Redeliver()
			h.finished(c)
		}
	})
}

func (h *simEcho) EOF(c *Conn) {
	x := c.State.(*simEchoConn)
	if x.eof || x.done {
		h.failf("EOF again or after Closed")
	}
	x.eof = true
	c.Redeliver()
	h.finished(c)
}

// finished closes when all has been echoed.
func (h *simEcho) finished(c *Conn) {
	if x, ok := c.State.(*simEchoConn); ok && x.eof && c.Unconsumed() == 0 {
		c.Close()
	}
}

func (h *simEcho) Drained(c *Conn) {
	c.Redeliver()
	h.finished(c)
}

func (h *simEcho) TimedOut(c *Conn, which Timer) {
	if c.timer[which].queue != nil {
		h.failf("a timer that has passed is armed")
	}
	if !c.State.(*simEchoConn).peer.disturbed {
		h.failf("a timer nobody has set")
	}
	if h.chance(0.5) {
		c.Close()
	} else {
		c.Abort(errSim)
	}
}

func (h *simEcho) Closed(c *Conn, err error) {
	h.closes++
	x := c.State.(*simEchoConn)
	if x.done {
		h.failf("Closed twice")
	}
	x.done = true
	h.cutOff = h.cutOff || errors.Is(err, ErrShutdown)
	if err != nil && x.peer != nil && !x.peer.disturbed && !h.cutShort {
		h.failf("peer %d: closed with %v", x.peer.sent[0], err)
	}
	c.SetTimeout(ReadTimer, time.Second) // has no effect any more
	c.Close()
	c.Abort(errSim)
	c.ResumeReceive()
	c.Redeliver()
}

// check: who was left alone got everything.
func (h *simEcho) check() {
	for i, p := range h.peers {
		if !p.disturbed && !h.cutShort && (!p.eof || p.got != len(p.sent)) {
			h.failf("peer %d got %d of %d bytes, EOF %v", i, p.got, len(p.sent), p.eof)
		}
	}
}
