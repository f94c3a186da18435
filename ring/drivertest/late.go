//go:build linux

package drivertest

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// Late is a driver on which operations on files take until they are let go: a
// disk as slow as a test wants it.
type Late struct {
	ring.Driver
	ring.Files

	mu   sync.Mutex
	slow bool
	held []ring.Event
}

// NewLate returns a Late over d, which implements ring.Files. It holds back what
// completes from now on.
func NewLate(d ring.Driver) *Late { return &Late{Driver: d, Files: d.(ring.Files), slow: true} }

// Held returns how many completions are held back. It may be called from any
// goroutine, as may Hold and LetGo.
func (d *Late) Held() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.held)
}

// Hold holds back what completes from now on.
func (d *Late) Hold() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slow = true
}

// LetGo lets the completions go.
func (d *Late) LetGo() {
	d.mu.Lock()
	d.slow = false
	d.mu.Unlock()
	d.Wake()
}

// Next implements ring.Driver.
func (d *Late) Next(ev *ring.Event) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.slow && len(d.held) > 0 {
		*ev = d.held[0]
		d.held = d.held[1:]
		return true
	}
	for d.Driver.Next(ev) {
		if !d.slow || ev.Op != ring.OpOpen && ev.Op != ring.OpStat && ev.Op != ring.OpRead {
			return true
		}
		d.held = append(d.held, *ev)
	}
	return false
}

// Destroy implements ring.Driver.
func (d *Late) Destroy() error {
	for i := range d.held {
		if ev := &d.held[i]; ev.Op == ring.OpOpen && ev.Err == 0 {
			_ = unix.Close(ev.N)
		}
	}
	return d.Driver.Destroy()
}
