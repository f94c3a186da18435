//go:build linux

package conn

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/fallback"
	"github.com/ringcore/ringcore/ring"
)

// Loop serves connections on one goroutine, locked to its thread, which owns
// everything in here but the inbox and the counters.
type Loop struct {
	engine   *Engine
	opts     *Options
	index    int
	driver   ring.Driver
	handler  Handler
	gatherer ring.Gatherer // driver, with Options.Gather
	turnEnd  TurnEnder     // handler, if it wants that
	now      int64         // the clock at the start of the turn
	turns    uint64
	enough   bool // the handler wants the turn to end
	more     bool // there may be completions or tasks that the turn has not taken
	event    ring.Event
	addr     sockAddr

	nets     netDriver               // driver, if its connections are no sockets
	shutdown func(fd, how int) error // shutdown(2)

	slots              slots
	timers             timerQueues
	alarms             alarms
	tiny, small, large arena
	inputs             inputPool

	wakeAt int64 // when the handler wants a turn, 0: it does not

	files files

	trimAt int64 // when to give free send buffers back, 0: there are none

	thread atomic.Int64 // its number, unless Movable
	woken  bool         // goroutines were woken in this turn
	yields bool         // … and are to run before the loop sleeps, for want of processors

	dirty                *Conn // with output to be flushed
	starved, starvedLast *Conn // without a receive buffer
	behind               bool  // the turn has left completions
	cameBack             int   // receive buffers, in this turn
	cameBackSince        int   // … since a receive found none
	holding              int   // receive buffers, by HoldInput
	hungry, spareHungry  []Ref // waiting for room to write
	joined               []*Conn
	outbounds            outbounds

	standby  standby
	inbox    inbox
	conns    atomic.Int64 // accepted connections and those on their way here
	draining bool
	released bool // outbound connections are not wanted any more
	cut      bool // nor are any others
	ended    atomic.Bool
	late     sync.Mutex // for tasks that come after the end
}

// Index returns the loop's number, 0 to Options.Loops-1. It may be called
// from any goroutine.
func (l *Loop) Index() int { return l.index }

// Now returns the loop's clock, in nanoseconds since some fixed moment: the
// time when the present turn began.
func (l *Loop) Now() int64 { return l.now }

// Clock returns the time by the same clock at this moment.
func (l *Loop) Clock() int64 { return l.opts.Clock() }

// WakeAt asks for a turn at the time at (as Now has it) or soon after, for a
// TurnEnder that has something to do then; 0 takes that back. It replaces what
// was asked for before, and holds for one turn.
func (l *Loop) WakeAt(at int64) { l.wakeAt = at }

// EndTurn has the present turn take no more completions: those that there are
// come with the next one, which follows at once. For a TurnEnder that has enough
// to do. Only for the loop's goroutine.
func (l *Loop) EndTurn() { l.enough = true }

// Conns returns the number of open connections, outbound ones not counted. It may be called from any
// goroutine.
func (l *Loop) Conns() int { return int(l.conns.Load()) }

// Draining reports whether the engine is shutting down.
func (l *Loop) Draining() bool { return l.draining }

// Each calls f for every open connection that was accepted. f may close it.
func (l *Loop) Each(f func(*Conn)) {
	l.forAll(func(c *Conn) {
		if c.state == stateOpen && c.own == 0 {
			f(c)
		}
	})
}

// main is the loop's goroutine. It reports on ready whether it could start.
func (l *Loop) main(ready chan<- error) {
	if !l.opts.unlocked {
		runtime.LockOSThread() // a ring takes system calls from one thread only
		defer runtime.UnlockOSThread()
	}
	d, err := l.engine.choice.open(l.engine.driverConfig())
	if err == nil {
		err = l.addFiles(d)
	}
	if err != nil {
		l.ended.Store(true)
		ready <- err
		l.engine.loopEnded(nil)
		return
	}
	l.nets, _ = d.(netDriver)
	l.shutdown = unix.Shutdown
	if s, ok := d.(interface{ Shutdown(fd, how int) error }); ok {
		l.shutdown = s.Shutdown // a simulated kernel has sockets of its own
	}
	l.thread.Store(int64(unix.Gettid()))
	l.yields = runtime.GOMAXPROCS(0) == 1
	l.handler = noHandler{}
	l.now = l.opts.Clock()
	if l.opts.Handler != nil {
		l.handler = l.opts.Handler(l)
	}
	l.turnEnd, _ = l.handler.(TurnEnder)
	if l.opts.Gather {
		l.gatherer, _ = d.(ring.Gatherer)
	}
	if l.opts.Movable {
		l.standby.wake = make(chan struct{}, 1)
		go l.watch()
	}
	ready <- nil
	l.serve()
}

// serve runs the loop until it ends, or until this goroutine has lost it.
func (l *Loop) serve() {
	if err := l.run(); err != errTakenOver {
		l.finish(err)
	}
}

func (l *Loop) run() error {
	for !l.over() {
		if err := l.turn(); err != nil {
			return err
		}
	}
	return nil
}

// over reports whether the loop has come to its end.
func (l *Loop) over() bool {
	return l.draining && l.released && l.slots.open == 0 && (l.files.inFlight == 0 || l.cut)
}

// addFiles makes d the loop's driver, with what it lacks to open, read and send
// files.
func (l *Loop) addFiles(d ring.Driver) (err error) {
	own, hasFiles := d.(interface {
		ring.Driver
		ring.Files
	})
	_, sends := d.(ring.FileSender)
	with := d
	if hasFiles && !sends {
		with, err = fallback.WithFileSender(own)
	} else if !hasFiles {
		with, err = fallback.WithFiles(d)
	}
	if err != nil {
		l.driver = d
		return errors.Join(err, d.Destroy())
	}
	l.driver, l.files.driver = with, with.(ring.Files)
	l.files.sender = with.(ring.FileSender)
	return nil
}

// turn takes completions, runs them, submits what came of it, and waits.
func (l *Loop) turn() error {
	l.turns++
	l.enough = false
	n := l.take(maxTaken)
	if n >= gatherFrom && n < maxTaken && !l.enough && l.gatherer != nil {
		l.gatherer.Gather()
		n += l.take(maxTaken - n)
	}
	l.behind = n == maxTaken || l.enough
	l.more = l.behind
	l.expire()
	l.more = !l.runTasks(maxTaken) || l.more
	if l.turnEnd != nil {
		if !l.turnEnd.TurnEnd() {
			return errTakenOver
		}
		l.more = !l.runTasks(maxTaken) || l.more // handlers may have finished meanwhile
	}
	l.feed()
	l.feedHungry()
	l.feedFiles()
	for l.dirty != nil || len(l.joined) > 0 { // the one may lead to the other
		l.flush()
		l.reap()
	}
	if l.over() {
		return nil
	}
	l.trim()
	return l.wait()
}

// gatherFrom is how many completions make it likely that the kernel has more: an
// enter that does not wait delivers about 20.
const gatherFrom = 16

// maxTaken is how many completions, and how many tasks, a turn takes: enough to
// share the system calls of its end, and so few that thousands of requests at once
// do not need as many buffers and contexts, and that their answers do not wait for
// each other.
const maxTaken = 256

// take runs the completions that there are, limit at most, and returns how many.
func (l *Loop) take(limit int) (n int) {
	for ; n < limit && !l.enough && l.driver.Next(&l.event); n++ {
		l.complete(&l.event)
	}
	return n
}

// wait submits and sleeps until there is something to do.
func (l *Loop) wait() error {
	timeout := l.timeout()
	if l.more {
		timeout = 0
	}
	l.wakeAt = 0
	if l.woken {
		l.woken = false
		if l.yields {
			return l.stepBack()
		}
	}
	// From here on a Post wakes the loop. Look once more at what was posted
	// before the flag could be seen.
	l.inbox.sleeping.Store(true)
	if l.inbox.head.Load() != nil {
		timeout = 0
	}
	err := l.driver.Wait(timeout)
	l.inbox.sleeping.Store(false)
	l.now = l.opts.Clock()
	return err
}

// trimEvery is how long free send buffers are kept for the next burst.
const trimEvery = int64(time.Second)

// trim gives send buffers back to the system. It has a deadline only while
// there is something to give: a loop at rest does not tick.
func (l *Loop) trim() {
	if l.trimAt == 0 {
		if l.tiny.empty > 1 || l.small.empty > 1 || l.large.empty > 1 {
			l.trimAt = l.now + trimEvery
		}
		return
	}
	if l.now >= l.trimAt {
		l.tiny.trim()
		l.small.trim()
		l.large.trim()
		l.trimAt = 0
		l.trim()
	}
}

// hungryRetry is how long a loop whose send memory is used up, by the system
// and not by its own connections, waits before it tries again.
const hungryRetry = 10 * time.Millisecond

// timeout returns how long the loop may sleep: there is no tick.
func (l *Loop) timeout() time.Duration {
	at := l.timers.next()
	if a := l.alarms.next(); a != 0 && (at == 0 || a < at) {
		at = a
	}
	if l.index == 0 {
		if r := l.engine.acceptor.retryAt; r != 0 && (at == 0 || r < at) {
			at = r
		}
	}
	if len(l.hungry) > 0 || l.files.waiting != nil && l.files.opening == 0 {
		if r := l.now + int64(hungryRetry); at == 0 || r < at {
			at = r
		}
	}
	if l.wakeAt != 0 && (at == 0 || l.wakeAt < at) {
		at = l.wakeAt
	}
	if l.trimAt != 0 && (at == 0 || l.trimAt < at) {
		at = l.trimAt
	}
	if at == 0 {
		return -1
	}
	return time.Duration(max(at-l.opts.Clock(), 0))
}

func (l *Loop) complete(ev *ring.Event) {
	if ev.Op == ring.OpAccept {
		l.engine.acceptor.onAccept(ev)
		return
	}
	if ev.Op >= ring.OpOpen {
		l.onFile(ev)
		return
	}
	c := l.slots.lookup(ev.Token)
	switch {
	case c == nil: // its connection is gone and the slot has another tenant
	case ev.Op == ring.OpReceive && c.receiving:
		l.onReceive(c, ev)
	case ev.Op == ring.OpSend && c.sending:
		l.onSend(c, ev)
	case ev.Op == ring.OpSendFile && c.sending:
		l.onSendFile(c, ev)
	case ev.Op == ring.OpConnect && c.sending:
		l.onConnect(c, ev)
	}
	if ev.Buffer != ring.NoBuffer {
		l.giveBack(ev.Buffer)
	}
}

func (l *Loop) expire() {
	for e := l.timers.expired(l.now); e != nil; e = l.timers.expired(l.now) {
		switch c := e.conn; c.state {
		case stateOpen:
			c.handler().TimedOut(c, e.which)
		case stateConnecting:
			c.expireConnect(e.which)
		case stateLingering:
			c.finish(ErrLinger)
		case stateClosing:
			c.finish(fmt.Errorf("send: %w", syscall.ETIMEDOUT))
		}
	}
	for a := l.alarms.expired(l.now); a != nil; a = l.alarms.expired(l.now) {
		a.Run(l)
	}
	if l.index == 0 {
		if a := &l.engine.acceptor; a.retryAt != 0 && a.retryAt <= l.now {
			a.retry()
		}
	}
}

// adopt makes the socket fd a connection of this loop; it has been counted.
func (l *Loop) adopt(fd int) {
	if l.ended.Load() {
		_ = unix.Close(fd)
		l.gone()
		return
	}
	if l.cut {
		l.driver.Close(fd)
		l.gone()
		return
	}
	c := l.slots.take(l)
	c.fd, c.state = int32(fd), stateOpen
	l.handler.Opened(c)
	c.arm()
}

// drain begins the end: the handler closes what is idle, the rest follows.
func (l *Loop) drain() {
	l.draining = true
	l.releaseAll()
	if l.ended.Load() {
		return // by an error: nobody is left to be told
	}
	if d, ok := l.handler.(Drainer); ok {
		d.Drain()
		return
	}
	l.Each((*Conn).Close)
}

// abort cuts all connections off, and those that are still on their way here.
func (l *Loop) abort() {
	l.cut = true
	l.forAll(func(c *Conn) { c.finish(ErrShutdown) })
}

// finish gives everything back. After an error of the driver connections may
// still be open: their handlers hear of it, their sockets are closed.
func (l *Loop) finish(err error) {
	l.cut = true
	l.thread.Store(0) // it will be anybody's
	l.forAll(func(c *Conn) { c.finish(err) })
	l.starved, l.starvedLast = nil, nil
	derr := l.driver.Destroy() // no operation is in flight any more
	l.forAll(func(c *Conn) {
		if c.fd >= 0 {
			_ = unix.Close(int(c.fd))
		}
		l.bury(c)
	})
	l.endFiles(derr == nil)
	if l.index == 0 {
		l.engine.acceptor.end()
	}
	if derr == nil { // else the kernel may still have some of it
		l.tiny.close()
		l.small.close()
		l.large.close()
	}
	l.ended.Store(true)
	if l.opts.Movable && l.standby.awake.CompareAndSwap(false, true) {
		close(l.standby.wake) // an awake one sees that the loop has ended
	}
	l.late.Lock()
	l.runTasks(math.MaxInt) // what turns have left
	l.late.Unlock()
	l.runLate()
	if err == nil {
		err = derr
	}
	l.engine.loopEnded(err)
}

// forAll calls f for every slot in use.
func (l *Loop) forAll(f func(*Conn)) {
	for _, chunk := range l.slots.chunks {
		for i := range chunk {
			if c := &chunk[i]; c.state != stateFree {
				f(c)
			}
		}
	}
}
