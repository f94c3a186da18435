//go:build linux

package conn

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/ringcore/ringcore/conn/simdriver"
)

// TestSimConnect connects under every fault: peers that refuse, answer late or
// never, timeouts, aborts, no descriptors, a shutdown in the middle. Each
// connect ends once; who is connected and left alone gets every byte back.
func TestSimConnect(t *testing.T) {
	opened, failed := 0, 0
	simulate(t, func(s *sim) {
		if s.seed%5 != 0 {
			return
		}
		s.begin(simdriver.Options{Calm: s.chance(0.02)})
		x := &simConnect{sim: s, left: s.crowd()}
		s.world.Answer = x.answer
		s.live = 1 // the run ends when all have come to their end
		if s.chance(0.1) {
			after := s.duration(50 * time.Millisecond)
			x.cutShort = true
			s.stop(after)
			if s.chance(0.5) {
				s.cutAfter(after + s.duration(30*time.Millisecond))
			}
		}
		s.world.After(0, func() {
			for range x.left {
				s.later(20*time.Millisecond, x.connect)
			}
		})
		s.run(s.options(), func(*Loop) Handler { return &script{} })
		if x.left != 0 && !x.cutShort {
			s.failf("%d connects have not ended", x.left)
		}
		if n := s.loop.Outbound(); n != 0 {
			s.failf("%d outbound connections are left", n)
		}
		opened, failed = opened+x.opened, failed+x.failed
	})
	if opened == 0 || failed == 0 {
		t.Errorf("%d were connected, %d failed: the test sees one side only", opened, failed)
	}
}

// simConnect is the client.
type simConnect struct {
	*sim
	left           int // connects that have not come to an end
	opened, failed int
	cutShort       bool
}

// answer has a peer that sends back what it gets, or none.
func (x *simConnect) answer([]byte) simdriver.Reply {
	switch x.rng.IntN(8) {
	case 0:
		return simdriver.Reply{Err: syscall.ECONNREFUSED}
	case 1:
		return simdriver.Reply{} // silence
	}
	e := &simdriver.End{}
	e.Data = func(p []byte) { e.Send(p) }
	e.EOF = func() { e.CloseWrite() }
	return simdriver.Reply{End: e}
}

func (x *simConnect) end() {
	if x.left--; x.left == 0 {
		x.ended()
	}
}

func (x *simConnect) connect() {
	sent, got, over, disturbed := x.random(x.someSize()+1), 0, false, false
	var rest []byte
	once := func() {
		if over {
			x.failf("a connect has ended twice")
		}
		over = true
		x.end()
	}
	h := &script{
		opened: func(c *Conn) {
			x.opened++
			if over {
				x.failf("opened after its end")
			}
			rest = sent[c.Write(sent):]
		},
		drained: func(c *Conn) { rest = rest[c.Write(rest):] },
		data: func(c *Conn, p []byte) int {
			x.wantNext(0, got, p, sent)
			if got += len(p); got == len(sent) {
				c.Close()
			}
			return len(p)
		},
		closed: func(_ *Conn, err error) {
			if !disturbed && !x.cutShort && (err != nil && !errors.Is(err, ErrLinger) || got != len(sent)) {
				x.failf("closed with %v after %d of %d bytes", err, got, len(sent))
			}
			once()
		},
	}
	ref := x.loop.Connect(&net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 80}, h, func(err error) {
		x.failed++
		if errors.Is(err, ErrShutdown) && !x.stopped {
			x.failf("%v, and there is none", err)
		}
		once()
	})
	c := ref.Conn()
	if c == nil {
		return // failed is on its way
	}
	c.SetTimeout(WriteTimer, time.Second) // for the silent ones
	if x.chance(0.2) {
		disturbed = true
		x.later(30*time.Millisecond, func() {
			if c := ref.Conn(); c != nil {
				c.Abort(errSim)
			}
		})
	}
}
