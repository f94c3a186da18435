//go:build linux

package conn

import "time"

// Timer names one of the two timeouts that a connection can have armed.
type Timer uint8

const (
	// ReadTimer guards what is expected from the peer: a header, a body, the
	// next request.
	ReadTimer Timer = iota
	// WriteTimer guards what the peer is expected to take. It is disarmed
	// when all output has been sent.
	WriteTimer
	timers
)

// timerEntry is a connection's place in a queue. Entries are intrusive, so
// that setting a timeout allocates nothing.
type timerEntry struct {
	prev, next *timerEntry
	queue      *timerQueue
	conn       *Conn
	deadline   int64
	which      Timer
}

// timerQueue holds the entries of one timeout value. All of them wait equally
// long, so the oldest is always the first: insertion, removal and expiry are
// O(1) and nothing has to be sorted.
type timerQueue struct {
	d           int64
	first, last *timerEntry
}

func (q *timerQueue) push(e *timerEntry) {
	e.queue, e.prev, e.next = q, q.last, nil
	if q.last != nil {
		q.last.next = e
	} else {
		q.first = e
	}
	q.last = e
}

func (e *timerEntry) remove() {
	q := e.queue
	if q == nil {
		return
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		q.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		q.last = e.prev
	}
	e.queue, e.prev, e.next = nil, nil, nil
}

// timerQueues has a queue for each timeout value in use: a handful.
type timerQueues struct {
	queues []*timerQueue
}

// maxTimerQueues bounds the queues when a handler invents a new duration for
// each request; empty ones are reused then.
const maxTimerQueues = 64

func (t *timerQueues) queue(d int64) *timerQueue {
	var spare *timerQueue
	for _, q := range t.queues {
		if q.d == d {
			return q
		}
		if q.first == nil {
			spare = q
		}
	}
	if spare != nil && len(t.queues) >= maxTimerQueues {
		spare.d = d
		return spare
	}
	q := &timerQueue{d: d}
	t.queues = append(t.queues, q)
	return q
}

// next returns the earliest deadline, 0 for none.
func (t *timerQueues) next() int64 {
	var at int64
	for _, q := range t.queues {
		if e := q.first; e != nil && (at == 0 || e.deadline < at) {
			at = e.deadline
		}
	}
	return at
}

// expired takes an entry out whose deadline has passed, nil for none.
func (t *timerQueues) expired(now int64) *timerEntry {
	for _, q := range t.queues {
		if e := q.first; e != nil && e.deadline <= now {
			e.remove()
			return e
		}
	}
	return nil
}

// SetTimeout arms the timeout named by which, replacing the one that is
// armed; d <= 0 disarms it. When it passes, Handler.TimedOut is called. Of a
// connection that is closing, only the WriteTimer can be set (when it passes,
// the rest of the output is given up), and of one that is connecting (see
// Loop.Connect); one that was aborted has no timeouts.
func (c *Conn) SetTimeout(which Timer, d time.Duration) {
	if c.state == stateOpen || (c.state == stateClosing || c.state == stateConnecting) && which == WriteTimer {
		c.setTimeout(which, d)
	}
}

func (c *Conn) setTimeout(which Timer, d time.Duration) {
	e := &c.timer[which]
	if d <= 0 {
		e.remove()
		return
	}
	l := c.loop
	if e.queue != nil && e.queue.d == int64(d) {
		q := e.queue
		e.deadline = l.now + q.d
		if q.last != e {
			e.remove()
			q.push(e)
		}
		return
	}
	e.remove()
	e.deadline = l.now + int64(d)
	l.timers.queue(int64(d)).push(e)
}
