//go:build linux

package conn

import "time"

// Alarm is a timer of a loop for purposes of the handler's own; connections
// have theirs (Conn.SetTimeout). It is intrusive: setting one allocates nothing,
// and takes O(log n) time. All its methods are the loop's.
type Alarm struct {
	// Run is called on the loop's goroutine when the time has come.
	Run func(*Loop)

	at    int64
	place int // in the heap, from 1; 0: not set
}

// SetAlarm has a.Run called once, in d from now (at the loop's next turn if d is
// not positive) and not before. It replaces the time that a was set to.
func (l *Loop) SetAlarm(a *Alarm, d time.Duration) {
	l.StopAlarm(a)
	a.at = l.opts.Clock() + int64(max(d, 0))
	l.alarms = append(l.alarms, a)
	a.place = len(l.alarms)
	l.alarms.up(a)
}

// StopAlarm sees to it that a.Run is not called, unless it is set again.
func (l *Loop) StopAlarm(a *Alarm) {
	if a.place > 0 {
		l.alarms.remove(a)
	}
}

// alarms is a binary heap, the earliest first.
type alarms []*Alarm

// next returns the earliest time, 0 for none.
func (h alarms) next() int64 {
	if len(h) == 0 {
		return 0
	}
	return h[0].at
}

// expired takes an alarm out whose time has come, nil for none.
func (h *alarms) expired(now int64) *Alarm {
	if len(*h) == 0 || (*h)[0].at > now {
		return nil
	}
	a := (*h)[0]
	h.remove(a)
	return a
}

func (h *alarms) remove(a *Alarm) {
	s := *h
	n := len(s) - 1
	last := s[n]
	s[n] = nil
	*h = s[:n]
	if last != a {
		h.put(last, a.place)
		h.up(last)
		h.down(last)
	}
	a.place = 0
}

func (h alarms) put(a *Alarm, place int) { h[place-1], a.place = a, place }

func (h alarms) up(a *Alarm) {
	for a.place > 1 {
		parent := h[a.place/2-1]
		if parent.at <= a.at {
			return
		}
		place := a.place
		h.put(a, parent.place)
		h.put(parent, place)
	}
}

func (h alarms) down(a *Alarm) {
	for {
		least := 2 * a.place
		if least > len(h) {
			return
		}
		if least < len(h) && h[least].at < h[least-1].at {
			least++
		}
		child := h[least-1]
		if a.at <= child.at {
			return
		}
		place := a.place
		h.put(a, child.place)
		h.put(child, place)
	}
}
