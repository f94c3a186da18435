//go:build linux

package conn

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/conn/simdriver"
)

// scene is a simulated run without faults, for what happens when.
type scene struct {
	*sim
	script
	opt   Options
	drain func() // of a handler that is a Drainer, nil: it is none
	room  int    // how much the network takes for a peer that does not read
}

// play has f set the scene and runs it, for several seeds, which give several
// timings. The scene ends with its last peer.
func play(t *testing.T, f func(s *scene)) {
	t.Helper()
	for seed := range uint64(30) {
		s := &scene{sim: newSim(seed + 1), room: 1 << 20}
		s.begin(simdriver.Options{Calm: true})
		f(s)
		h := s.script
		h.opened = func(c *Conn) {
			s.opens++
			s.Opened(c)
		}
		h.closed = func(c *Conn, err error) {
			s.closes++
			s.Closed(c, err)
		}
		s.run(s.opt, func(*Loop) Handler {
			if s.drain != nil {
				return drainScript{&h, s.drain}
			}
			return &h
		})
		if s.err != nil {
			t.Fatalf("seed %d: %v", s.seed, s.err)
		}
	}
}

// client is a peer of a scene.
type client struct {
	*simdriver.End
	got   []byte
	eof   bool
	reset bool
}

// dial connects a client, which sends first. What happens to it is told to
// end (nil: it closes its side when the server has), and it has ended then.
func (s *scene) dial(first string, end func(c *client)) *client {
	c := &client{}
	s.live++
	over := func() {
		if end != nil {
			end(c)
		} else {
			c.CloseWrite()
		}
		s.ended()
	}
	c.End = &simdriver.End{
		Data:  func(p []byte) { c.got = append(c.got, p...) },
		EOF:   func() { c.eof = true; over() },
		Reset: func() { c.reset = true; over() },
		Room:  s.room,
	}
	s.world.Dial(0, c.End, func() { c.Send([]byte(first)) })
	return c
}

func (s *scene) want(what string, cond bool) {
	if !cond {
		s.failf("%s", what)
	}
}

// Close sends the answer and lingers: a peer that goes on sending for a while
// reads all of it.
func TestCloseLingers(t *testing.T) {
	play(t, func(s *scene) {
		answer := s.random(50_000)
		s.data = func(c *Conn, p []byte) int {
			c.Write(answer)
			c.Close()
			return 0
		}
		s.closed = func(c *Conn, err error) { s.want("closed with an error", err == nil) }
		c := s.dial("request", func(c *client) {
			s.want("reset", !c.reset)
			s.want("not the whole answer", bytes.Equal(c.got, answer))
			for range 20 {
				c.Send(s.random(1000))
			}
			c.CloseWrite()
		})
		s.world.After(5*time.Millisecond, func() { c.Send(s.random(100_000)) })
	})
}

// A peer that neither closes nor reads holds a closed connection for Linger,
// and whatever the handler does to it changes nothing.
func TestLingerEnds(t *testing.T) {
	play(t, func(s *scene) {
		s.opt.Linger = 300 * time.Millisecond
		var at int64
		s.data = func(c *Conn, p []byte) int {
			c.Close()
			at = s.world.Clock()
			c.SetTimeout(ReadTimer, 0)
			c.SetTimeout(ReadTimer, time.Hour)
			c.PauseReceive()
			ref := c.Ref()
			s.world.After(100*time.Millisecond, func() {
				s.loop.Post(&Task{Run: func(*Loop) {
					ref.Conn().SetTimeout(ReadTimer, 0)
					ref.Conn().PauseReceive()
					ref.Conn().Close()
				}})
			})
			return len(p)
		}
		s.closed = func(c *Conn, err error) {
			s.want("not ErrLinger", errors.Is(err, ErrLinger))
			took := time.Duration(s.world.Clock() - at)
			s.want("not after Linger", took >= s.opt.Linger && took < s.opt.Linger+time.Millisecond)
		}
		s.dial("x", func(*client) {})
	})
}

// What PauseReceive did before or after Close does not hide the peer's EOF.
func TestPausedConnectionCloses(t *testing.T) {
	play(t, func(s *scene) {
		before := s.chance(0.5)
		s.data = func(c *Conn, p []byte) int {
			if before {
				c.PauseReceive()
			}
			c.Close()
			c.PauseReceive()
			return len(p)
		}
		s.closed = func(c *Conn, err error) { s.want("closed with an error", err == nil) }
		s.dial("x", nil)
	})
}

// A closed connection takes no more than so much from its peer.
func TestLingerIsBounded(t *testing.T) {
	play(t, func(s *scene) {
		s.opt.Linger = time.Hour
		s.data = func(c *Conn, p []byte) int { c.Close(); return 0 }
		s.closed = func(c *Conn, err error) {
			s.want("not ErrLinger", errors.Is(err, ErrLinger))
			s.want("held for Linger", s.world.Clock() < int64(time.Minute))
		}
		flood := make([]byte, 2*maxLingered)
		s.dial("x", func(c *client) {
			if !c.reset {
				c.Send(flood)
			}
		})
	})
}

// The slice that Data has stays as it is until Data returns, although the
// handler closes the connection meanwhile and others need buffers; and what
// Data returns then does not matter.
func TestInputStaysUntilDataReturns(t *testing.T) {
	play(t, func(s *scene) {
		s.data = func(c *Conn, p []byte) int {
			if len(p) < 4 {
				return 0 // so that it comes from the connection's own buffer
			}
			before := string(p)
			if s.chance(0.5) {
				c.Close()
			} else {
				c.Abort(nil)
			}
			for range 3 {
				b := c.loop.inputs.get(10)
				copy(b[:10], "**********")
			}
			s.want("the input was changed", string(p) == before)
			return len(p)
		}
		c := s.dial("ab", nil)
		s.world.After(300*time.Millisecond, func() { c.Send([]byte("cd")) })
	})
}

// Timeouts pass when they are due, in order, and setting one again replaces it.
func TestTimeoutsInVirtualTime(t *testing.T) {
	play(t, func(s *scene) {
		due := map[uint32]int64{}
		s.opened = func(c *Conn) {
			d := time.Duration(c.Slot()%3+1) * 50 * time.Millisecond
			c.SetTimeout(ReadTimer, time.Millisecond)
			c.SetTimeout(ReadTimer, d)
			c.SetTimeout(WriteTimer, time.Millisecond)
			c.SetTimeout(WriteTimer, 0)
			due[c.Slot()] = s.loop.Now() + int64(d)
		}
		s.timedOut = func(c *Conn, which Timer) {
			late := s.loop.Now() - due[c.Slot()]
			s.want("the wrong timer", which == ReadTimer)
			s.want("too early or too late", late >= 0 && late < int64(100*time.Microsecond))
			if c.Slot() == 0 && due[100] == 0 { // re-armed by its own expiry
				c.SetTimeout(ReadTimer, 10*time.Millisecond)
				due[0], due[100] = s.loop.Now()+int64(10*time.Millisecond), 1
				return
			}
			c.Abort(nil)
		}
		for range 8 {
			s.dial("", func(*client) {})
		}
	})
}

// The WriteTimer ends a closed connection whose peer does not read, and is
// disarmed when all is sent.
func TestWriteTimer(t *testing.T) {
	play(t, func(s *scene) {
		s.room = 100
		s.data = func(c *Conn, p []byte) int {
			c.Write(make([]byte, 30_000))
			c.SetTimeout(WriteTimer, 20*time.Millisecond)
			c.Close()
			return len(p)
		}
		s.closed = func(c *Conn, err error) { s.want("not a timeout", errors.Is(err, unix.ETIMEDOUT)) }
		c := s.dial("x", func(*client) {})
		c.Hold(true)
		s.world.After(time.Second, func() { c.Hold(false) })
	})
	play(t, func(s *scene) {
		s.data = func(c *Conn, p []byte) int {
			c.SetTimeout(WriteTimer, 500*time.Millisecond) // more than the network ever takes
			c.Write(p)
			return len(p)
		}
		s.timedOut = func(*Conn, Timer) { s.failf("timed out although all was sent") }
		c := s.dial("x", nil)
		s.world.After(3*time.Second, c.CloseWrite)
	})
}

// With no memory for output nobody is forgotten, though nothing else happens.
func TestNoMemory(t *testing.T) {
	play(t, func(s *scene) {
		small := 0
		s.data = func(c *Conn, p []byte) int {
			if small == 0 {
				small = c.loop.small.maxSlabs
				c.loop.tiny.maxSlabs, c.loop.small.maxSlabs, c.loop.large.maxSlabs = 0, 0, 0
				s.world.After(time.Second, func() { s.loop.small.maxSlabs = small })
			}
			s.want("Reserve without memory", c.Reserve(10) == nil)
			s.want("Write without memory", c.Write([]byte("answer")) == 0)
			return len(p)
		}
		s.drained = func(c *Conn) {
			if c.Write([]byte("answer")) == 6 {
				c.Close()
			}
		}
		s.dial("x", func(c *client) {
			s.want("no answer", string(c.got) == "answer")
			c.CloseWrite()
		})
	})
}

// What another connection's end leads to is still done in the same turn.
func TestWriteToOthersFromClosedAndDetach(t *testing.T) {
	play(t, func(s *scene) {
		var waiting *Conn
		detach := s.chance(0.5)
		say := func() {
			if waiting != nil {
				waiting.Write([]byte("the other one has gone"))
				waiting.Close()
			}
		}
		s.data = func(c *Conn, p []byte) int {
			switch {
			case p[0] == 'w':
				waiting = c
			case detach:
				c.Detach(func(nc net.Conn, rest []byte, err error) {
					s.want("detached a simulated socket", err != nil)
					say()
				})
			default:
				c.Abort(nil)
			}
			return len(p)
		}
		s.closed = func(c *Conn, err error) {
			if c == waiting {
				waiting = nil
			} else if !detach {
				say()
			}
		}
		s.dial("w", func(c *client) {
			s.want("nothing was said", len(c.got) > 0)
			c.CloseWrite()
		})
		other := s.dial("", func(*client) {})
		s.world.After(time.Second, func() { other.Send([]byte("x")) })
	})
}

// Connections that are accepted after all have been cut off are not served.
func TestCutIncludesLateConnections(t *testing.T) {
	play(t, func(s *scene) {
		cut := false
		s.drain = func() {} // leaves all alone
		s.opened = func(c *Conn) { s.want("opened although all are cut off", !cut) }
		s.dial("", func(*client) {
			s.dial("", func(c *client) { s.want("served", len(c.got) == 0) })
		})
		s.world.After(time.Second, func() {
			cut = true
			s.loop.Post(&Task{Run: (*Loop).abort})
		})
	})
}

// A detach that the handler interferes with still comes to its end.
func TestDetachInSpiteOfResume(t *testing.T) {
	play(t, func(s *scene) {
		answers := 0
		s.data = func(c *Conn, p []byte) int {
			c.Detach(func(_ net.Conn, _ []byte, err error) {
				answers++
				s.want("no error", err != nil)
			})
			c.ResumeReceive()
			return len(p)
		}
		s.closed = func(c *Conn, err error) { s.want("no answer, or several", answers == 1) }
		s.dial("x", func(*client) {})
	})
}
