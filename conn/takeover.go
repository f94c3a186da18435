//go:build linux

package conn

import (
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/ringcore/ringcore/ring"
)

// A handler that wants to call code which may block, without stalling its loop,
// calls it at the end of a turn between StepOut and StepIn. When that code takes
// longer than a tick, a stand-by goroutine takes the loop over, on a thread of
// its own, and serves the other connections. The goroutine that was left behind
// learns of it from StepIn, hands over what it has by Loop.Post, and is gone.
//
//	owner:     … turn ─ StepOut ──── code ──── StepIn ─ turn …
//	                        │                    │ false: lost, ends
//	stand-by:  sleeps ──────┴─ a tick ─ takes over ─ turn … (and starts a new stand-by)

// tick is how often the stand-by looks. A loop is taken over when it has been
// in the same code at two looks in a row.
const tick = time.Millisecond

// lull is how many ticks without any code being called the stand-by keeps
// looking before it sleeps: to wake it costs more than a few ticks.
const lull = 50

// errTakenOver is what ends the goroutine that has lost its loop.
var errTakenOver = errors.New("conn: the loop was taken over")

// Ticket is one call of code that may block.
type Ticket uint64

// standby watches over the code that a loop's owner calls.
type standby struct {
	// calls is odd while the owner is in such code: which call it is, so that
	// a stand-by that looks twice knows whether it is the same one.
	calls  atomic.Uint64
	awake  atomic.Bool
	wake   chan struct{}
	losses atomic.Uint64 // how often the loop was taken over
}

// StepOut says that the owner is about to call code that may block. From now on
// until StepIn it must not touch the loop or its connections. Only at the end of
// a turn (TurnEnder) and with Options.Movable.
func (l *Loop) StepOut() Ticket {
	s := &l.standby
	t := s.calls.Load() + 1
	s.calls.Store(t)
	if !s.awake.Load() && s.awake.CompareAndSwap(false, true) {
		s.wake <- struct{}{} // has room for one, and one is all that there is
	}
	return Ticket(t)
}

// StepIn says that the code has returned. When it is false the loop belongs to
// another goroutine: the caller may do what any goroutine may (Post), and
// returns false from TurnEnd.
func (l *Loop) StepIn(t Ticket) bool {
	return l.standby.calls.CompareAndSwap(uint64(t), uint64(t)+1)
}

// HandOver gives the loop to another goroutine, for an owner that cannot go on:
// its code has called runtime.Goexit. To be called instead of StepIn; false
// means that the loop was lost already.
func (l *Loop) HandOver(t Ticket) bool {
	if !l.StepIn(t) {
		return false
	}
	go l.takeOver()
	return true
}

// TakenOver returns how often the loop was taken over from a goroutine that did
// not come back in time. It may be called from any goroutine.
func (l *Loop) TakenOver() uint64 { return l.standby.losses.Load() }

// watch is the stand-by goroutine.
func (l *Loop) watch() {
	s := &l.standby
	last, quiet := uint64(0), 0
	for {
		if quiet > lull {
			s.awake.Store(false)
			if s.calls.Load() == last || !s.awake.CompareAndSwap(false, true) {
				if _, more := <-s.wake; !more {
					return
				}
			}
			quiet = 0
		}
		time.Sleep(tick)
		if l.ended.Load() {
			return
		}
		switch now := s.calls.Load(); {
		case now != last:
			last, quiet = now, 0
		case now&1 == 0:
			quiet++
		case s.calls.CompareAndSwap(now, now+1):
			s.losses.Add(1)
			go l.watch()
			l.takeOver()
			return
		}
	}
}

// takeOver makes the calling goroutine the loop's.
func (l *Loop) takeOver() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if m, ok := l.driver.(ring.Mover); ok {
		m.Move()
	}
	l.now = l.opts.Clock()
	l.serve()
}
