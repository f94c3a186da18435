//go:build linux

package gen

import (
	"crypto/sha256"
	"net"
	"sync"
	"sync/atomic"

	"github.com/ringcore/ringcore/conn"
)

// worker puts load on from one loop. All of it but tick and seen belongs to
// the loop's goroutine.
type worker struct {
	cfg     *Config
	loop    *conn.Loop
	number  int
	addr    *net.TCPAddr
	kinds   []kind
	cycle   []uint16 // the order of the kinds
	turn    int      // the place in it
	clients []client
	digest  [sha256.Size]byte

	phase     phase
	startedAt int64 // when warming began
	phaseEnd  int64 // when the phase ends, 0: something else ends it
	budget    int64 // requests that may still be begun; negative: any number
	inFlight  int64 // requests that are due
	plan      plan
	again     []int64     // open loop: moments of requests to be sent again
	room      clientQueue // open loop: clients that may take a request

	dial dialer

	count         counters
	before, after usage // at the ends of the measured time
	measured      outcomes
	events        chan<- event
	told, gone    bool // … of isReady, and of isGone

	tick    conn.Task
	ticking atomic.Bool
	mu      sync.Mutex
	seen    snapshot // for whoever watches; guarded by mu
}

// counters count since the beginning of a phase.
type counters struct {
	bytes, sent          int64
	connects, reconnects int64
	errors               [errorKinds]int64
	statuses             [600]int64
}

// outcomes is what is fixed at the end of the measured time.
type outcomes struct {
	counters
	warmup             [errorKinds]int64 // errors before
	requests           []int64           // of each kind
	unanswered, unsent int64
}

// clientQueue is a queue of clients, each in it at most once.
type clientQueue struct {
	all      []*client
	first, n int
}

func (q *clientQueue) push(cl *client) {
	q.all[(q.first+q.n)%len(q.all)] = cl
	q.n++
}

func (q *clientQueue) pop() *client {
	cl := q.all[q.first]
	q.first = (q.first + 1) % len(q.all)
	q.n--
	return cl
}

func (w *worker) open() bool { return w.cfg.Rate > 0 }

// nextKind returns the kind whose turn it is.
func (w *worker) nextKind() *kind {
	if len(w.kinds) == 1 {
		return &w.kinds[0]
	}
	k := &w.kinds[w.cycle[w.turn]]
	if w.turn++; w.turn == len(w.cycle) {
		w.turn = 0
	}
	return k
}

// sending reports whether requests may be begun.
func (w *worker) sending() bool {
	return (w.phase == warming || w.phase == measuring) && w.budget != 0
}

// idle gives a client without requests its next ones.
func (w *worker) idle(cl *client) {
	switch {
	case w.open():
		w.offer(cl)
	case w.sending():
		now := w.loop.Now()
		for range w.cfg.Pipelining {
			if w.budget == 0 {
				break
			}
			w.budget--
			cl.add(w.nextKind(), now)
		}
		w.carry(cl)
	}
}

// carry brings a client's requests on their way.
func (w *worker) carry(cl *client) {
	if cl.state == up {
		cl.pump()
	} else {
		w.dial.want(cl)
	}
}

// offer puts a client with room in line for the next planned request.
func (w *worker) offer(cl *client) {
	if !cl.free && cl.due < len(cl.queue) {
		cl.free = true
		w.room.push(cl)
	}
}

// dispatch gives the planned requests that are due to clients with room, and
// has the loop wake up for the next one.
func (w *worker) dispatch() {
	now := w.loop.Now()
	for w.room.n > 0 && w.sending() {
		if len(w.again) == 0 && w.plan.next() > now {
			w.loop.WakeAt(max(w.plan.next(), now+minPause))
			return
		}
		cl := w.room.pop()
		cl.free = false
		if !cl.usable() {
			continue
		}
		at := int64(0)
		if n := len(w.again); n > 0 {
			at, w.again = w.again[n-1], w.again[:n-1]
		} else {
			at = w.plan.take()
		}
		w.budget--
		cl.add(w.nextKind(), at)
		w.carry(cl)
		if !w.cfg.Close {
			w.offer(cl)
		}
	}
}

// minPause is how far apart an open loop's wake-ups are at least, in ns; what
// falls due in between is sent together, and the delay counts.
const minPause = 20_000

// usable reports whether a client can take a request: it is connected, or
// would connect for it.
func (cl *client) usable() bool {
	if cl.w.cfg.Close {
		return cl.state == down
	}
	return cl.state == up
}

// sendAgain takes back a request that the server has not heard.
func (w *worker) sendAgain(at int64) {
	if w.budget >= 0 {
		w.budget++
	}
	if w.open() && w.phase < finishing {
		w.again = append(w.again, at)
	}
}

// The methods of a conn.Handler, for the worker's connections.

// Opened implements conn.Handler.
func (w *worker) Opened(c *conn.Conn) {
	cl := c.State.(*client)
	cl.conn, cl.state = c, up
	w.count.connects++
	w.dial.opened()
	switch {
	case w.phase >= finishing:
		cl.leave()
	case cl.due > 0:
		cl.since = w.loop.Now()
		cl.pump()
	default:
		w.idle(cl)
	}
}

// Data implements conn.Handler.
func (w *worker) Data(c *conn.Conn, p []byte) int {
	cl := c.State.(*client)
	if cl.state != up {
		return len(p)
	}
	n := cl.data(p)
	if w.cfg.Rate > 0 && cl.state == up {
		w.offer(cl)
	}
	return n
}

// EOF implements conn.Handler.
func (w *worker) EOF(c *conn.Conn) { c.State.(*client).eof() }

// Drained implements conn.Handler.
func (w *worker) Drained(c *conn.Conn) {
	if cl := c.State.(*client); cl.state == up {
		cl.pump()
	}
}

// TimedOut implements conn.Handler; only attempts to connect have a timeout,
// which conn sees to.
func (w *worker) TimedOut(*conn.Conn, conn.Timer) {}

// Closed implements conn.Handler.
func (w *worker) Closed(c *conn.Conn, err error) {
	cl := c.State.(*client)
	if cl.state == up { // neither we nor the server wanted that
		w.count.errors[errReset] += int64(max(cl.due, 1))
		cl.drop(cl.due)
	}
	w.dial.up--
	cl.reset()
	w.replace(cl)
}

// replace follows the end of a connection, or of an attempt to make one.
func (w *worker) replace(cl *client) {
	switch {
	case w.phase >= finishing:
	case !w.cfg.Close:
		w.dial.want(cl)
	default:
		w.idle(cl)
	}
}
