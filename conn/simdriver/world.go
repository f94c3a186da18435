//go:build linux

package simdriver

import (
	"container/heap"
	"fmt"
	"time"
)

// happening is something that the world will do at a time.
type happening struct {
	at  int64
	seq uint64 // what was planned first happens first
	do  func()
}

// timeline is a heap, the next happening first.
type timeline []happening

func (t timeline) Len() int { return len(t) }
func (t timeline) Less(i, j int) bool {
	return t[i].at < t[j].at || t[i].at == t[j].at && t[i].seq < t[j].seq
}
func (t timeline) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *timeline) Push(x any)   { *t = append(*t, x.(happening)) }
func (t *timeline) Pop() any {
	old := *t
	h := old[len(old)-1]
	old[len(old)-1].do = nil
	*t = old[:len(old)-1]
	return h
}

// at plans f for the virtual time t.
func (d *Driver) at(t int64, f func()) {
	d.seq++
	heap.Push(&d.timeline, happening{at: t, seq: d.seq, do: f})
}

// After plans f: it is called on the loop's goroutine, within Wait, once
// virtual time has moved on by delay.
func (d *Driver) After(delay time.Duration, f func()) { d.at(d.now+int64(delay), f) }

// step lets the next happening take place if it is due by the time limit.
func (d *Driver) step(limit int64) bool {
	if len(d.timeline) == 0 || d.timeline[0].at > limit {
		return false
	}
	h := heap.Pop(&d.timeline).(happening)
	d.now = max(d.now, h.at)
	h.do()
	return true
}

// Clock returns the virtual time, in nanoseconds; it fits conn.Options.Clock.
func (d *Driver) Clock() int64 { return d.now }

// Jump moves the clock on, as when a machine was suspended: what was planned
// meanwhile is late.
func (d *Driver) Jump(by time.Duration) {
	d.tracef("clock jumps by %v", by)
	d.now += int64(by)
	d.jumps++
}

// Jumps returns how often the clock has jumped.
func (d *Driver) Jumps() int { return d.jumps }

// External runs f, which has to wake the loop, on a goroutine of its own and
// waits for that wake: a call from outside at a well-defined virtual time. It
// may be called by what After and a peer's callbacks run.
func (d *Driver) External(f func()) {
	if d.wakeSeen() { // it will not be woken twice
		d.After(time.Microsecond, func() { d.External(f) })
		return
	}
	go f()
	select {
	case <-d.wake:
		d.woken = true
	case <-time.After(patience):
		d.violate("no wake within %v of a call from outside", patience)
	}
}

// patience is how long, in real time, the simulation waits for other goroutines.
const patience = 20 * time.Second

// violate notes the first violation; Wait returns it.
func (d *Driver) violate(format string, args ...any) {
	d.tracef("VIOLATION: "+format, args...)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.violation == nil {
		d.violation = fmt.Errorf("simdriver: seed %d, at %v: %w", d.seed, time.Duration(d.now), fmt.Errorf(format, args...))
	}
}

// Violation returns the first violation of the driver's contract, nil for
// none. It may be called from any goroutine.
func (d *Driver) Violation() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.violation
}

func (d *Driver) tracef(format string, args ...any) {
	if d.opts.Trace != nil {
		fmt.Fprintf(d.opts.Trace, "%12v  %s\n", time.Duration(d.now), fmt.Sprintf(format, args...))
	}
}
