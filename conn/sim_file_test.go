//go:build linux

package conn

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/ringcore/ringcore/conn/simdriver"
)

// TestSimFiles sends files under every fault, while connections are closed and
// aborted and files become shorter at any moment. Whoever was left alone gets
// every byte; everybody else a prefix of that.
func TestSimFiles(t *testing.T) {
	simulate(t, func(s *sim) {
		h := &simFiles{sim: s, meddle: s.rng.Float64() * float64(s.rng.IntN(2))}
		s.begin(simdriver.Options{Calm: s.chance(0.02)})
		for i := range s.crowd() {
			h.dial(i)
		}
		o := s.options()
		o.HighWater = max(o.HighWater, 100)
		o.directFrom = []int64{1, 1000, 1 << 40}[s.rng.IntN(3)]
		s.run(o, func(*Loop) Handler { return h })
		if n := s.world.OpenFiles(); n > 0 {
			s.failf("%d files are still open", n)
		}
		if l := s.loop; l.files.inFlight != 0 || l.files.open != nil || l.files.waiting != nil {
			s.failf("%d operations in flight at the end", l.files.inFlight)
		}
		for i, p := range h.peers {
			if !p.disturbed && (p.got != len(p.want) || !p.eof) {
				s.failf("peer %d got %d of %d bytes, EOF %v", i, p.got, len(p.want), p.eof)
			}
		}
	})
}

// simFiles is a server that answers a number with the file of that number.
type simFiles struct {
	*sim
	meddle float64
	peers  []*simFilePeer
}

type simFilePeer struct {
	end       *simdriver.End
	want      []byte
	got       int
	disturbed bool
	eof, over bool
}

const simHead = "head "

func (h *simFiles) dial(number int) {
	content := h.random(1 + h.someSize())
	name := fmt.Sprint(number)
	h.world.AddFile(name, content)
	p := &simFilePeer{want: append([]byte(simHead), content...)}
	h.peers = append(h.peers, p)
	h.live++
	over := func() {
		if !p.over {
			p.over = true
			h.ended()
		}
	}
	p.end = &simdriver.End{
		Data: func(b []byte) {
			h.wantNext(number, p.got, b, p.want)
			p.got += len(b)
		},
		EOF: func() {
			p.eof = true
			p.end.CloseWrite()
			over()
		},
		Reset: func() {
			if !p.disturbed {
				h.failf("peer %d was reset", number)
			}
			over()
		},
	}
	h.world.Dial(h.duration(30*time.Millisecond), p.end, func() {
		p.end.Send([]byte{byte(number)})
		switch {
		case h.chance(h.meddle / 4):
			p.disturbed = true
			p.end.AbortConn()
			over()
		case h.chance(h.meddle / 3): // it becomes shorter at some time
			p.disturbed = true
			h.world.After(h.duration(20*time.Millisecond), func() { h.world.AddFile(name, content[:len(content)/2]) })
		case h.chance(0.2): // a slow reader
			p.end.Hold(true)
			h.world.After(h.duration(300*time.Millisecond), func() { p.end.Hold(false) })
		}
	})
}

func (h *simFiles) Opened(*Conn) { h.opens++ }

func (h *simFiles) Data(c *Conn, b []byte) int {
	number := int(b[0])
	p, ref := h.peers[number], c.Ref()
	h.loop.OpenFile(nil, fmt.Sprint(number), true, func(f *File, err error) {
		if err != nil {
			if !interrupted(err) {
				h.failf("open of file %d: %v", number, err)
			}
			return
		}
		defer f.Release()
		c := ref.Conn()
		if c == nil || c.Closing() {
			return
		}
		if f.Size() == 0 { // it became shorter before
			c.Close()
			return
		}
		c.SendFile([]byte(simHead), f, 0, f.Size(), 0, func(c *Conn, err error) {
			switch {
			case err == nil:
				c.Close()
			case !p.disturbed && !interrupted(err) && !errors.Is(err, syscall.EIO):
				h.failf("file %d: %v", number, err)
				c.Abort(err)
			default:
				p.disturbed = true
				c.Abort(err)
			}
		})
	})
	if h.chance(h.meddle) {
		p.disturbed = true
		h.later(20*time.Millisecond, func() {
			if c := ref.Conn(); c != nil {
				if h.chance(0.5) {
					c.Close()
				} else {
					c.Abort(errSim)
				}
			}
		})
	}
	return len(b)
}

// interrupted: time and again, until it was given up.
func interrupted(err error) bool {
	return errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR) || errors.Is(err, syscall.ECANCELED)
}

func (h *simFiles) EOF(c *Conn)               { c.Close() }
func (h *simFiles) Drained(*Conn)             {}
func (h *simFiles) TimedOut(c *Conn, _ Timer) { c.Abort(errSim) }
func (h *simFiles) Closed(c *Conn, _ error)   { h.closes++ }
