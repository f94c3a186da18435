//go:build linux

package conn

import (
	"sync"
	"time"
)

// half is what one direction of a netConn has.
type half struct {
	busy sync.Mutex // held by the one Read or Write that is under way
	wake sync.Cond
	deadline
	waits bool
}

// deadline is one of a netConn's. Everything is guarded by the netConn's lock.
//
// Callers move a deadline on with every request, and it hardly ever passes. So
// the timer is left alone when that happens: it finds, when it fires, that it
// is too early, and goes on.
type deadline struct {
	at    time.Time   // zero: none
	timer *time.Timer // nil before the first
	fires time.Time   // when timer will, zero: it is not armed
}

// late reports whether the deadline has passed.
func (d *deadline) late() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// set sets h's deadline, which wakes who waits if it has passed.
func (h *half) set(t time.Time) {
	h.at = t
	switch {
	case t.IsZero():
	case h.late():
		h.wake.Broadcast()
	case h.fires.IsZero() || t.Before(h.fires):
		h.fires = t
		if d := time.Until(t); h.timer == nil {
			h.timer = time.AfterFunc(d, h.fire)
		} else {
			h.timer.Reset(d)
		}
	}
}

func (h *half) fire() {
	h.wake.L.Lock()
	defer h.wake.L.Unlock()
	h.fires = time.Time{}
	h.set(h.at)
}

// wait waits until something has changed.
func (h *half) wait() {
	h.waits = true
	h.wake.Wait()
}

// notify wakes who waits, and reports whether somebody did.
func (h *half) notify() bool {
	w := h.waits
	if w {
		h.waits = false
		h.wake.Broadcast()
	}
	return w
}

// end wakes who waits; there is no deadline any more.
func (h *half) end() {
	h.at, h.waits = time.Time{}, false
	if h.timer != nil {
		h.timer.Stop()
	}
	h.wake.Broadcast()
}
