//go:build linux

package conn

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

const (
	acceptBackoffMin = 5 * time.Millisecond
	acceptBackoffMax = time.Second
	// acceptReportEvery keeps a lasting shortage from filling the log.
	acceptReportEvery = time.Minute
)

// acceptor accepts for the whole engine on its first loop, and gives each
// connection to the loop that has the fewest. Descriptors or memory running
// out pause it: what is connected goes on being served, what is not waits in
// the kernel's queue.
type acceptor struct {
	loop      *Loop
	listeners []*listener
	paused    bool        // by EMFILE and its kin
	waiting   atomic.Bool // paused, for the other loops
	backoff   time.Duration
	retryAt   int64 // when to try again, 0: not waiting
	reported  int64 // when a pause was last reported, 0: never
	stopped   bool
	onStopped func()
	onError   func(error)
}

// ErrAcceptPaused is reported when descriptors or memory have run out: accepting
// goes on when a connection closes, or after a while.
var ErrAcceptPaused = errors.New("conn: accepting pauses until the shortage is over")

type listener struct {
	fd     int
	token  ring.Token
	armed  bool
	failed error
	closed func() // after the descriptor has been closed
}

// acceptSlot marks the tokens of listeners; no connection gets that slot.
const acceptSlot = 1<<32 - 1

// add starts accepting from fd, which the acceptor owns from now on.
func (a *acceptor) add(fd int, closed func()) {
	ln := &listener{fd: fd, token: ring.MakeToken(acceptSlot, uint32(len(a.listeners))), closed: closed}
	a.listeners = append(a.listeners, ln)
	a.arm()
}

func (a *acceptor) arm() {
	if a.paused {
		return
	}
	for _, ln := range a.listeners {
		if !ln.armed && !a.stopped && ln.failed == nil && ln.fd >= 0 {
			ln.armed = true
			a.loop.driver.Accept(ln.fd, ln.token)
		}
	}
}

func (a *acceptor) onAccept(ev *ring.Event) {
	ln := a.listeners[ev.Token.Generation()]
	if !ev.More {
		ln.armed = false
	}
	switch ev.Err {
	case 0:
		a.backoff = 0
		a.place(ev.N)
	case syscall.EAGAIN, syscall.EINTR, syscall.ECONNABORTED, syscall.ECANCELED,
		// accept(2): errors of the new connection's network, to be treated like EAGAIN.
		syscall.EPROTO, syscall.ENETDOWN, syscall.ENOPROTOOPT, syscall.EHOSTDOWN,
		syscall.EHOSTUNREACH, syscall.EOPNOTSUPP, syscall.ENETUNREACH, syscall.EPERM, syscall.ETIMEDOUT:
	case syscall.ESHUTDOWN: // a net.Listener that its owner has closed
		ln.failed = net.ErrClosed
	case syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS:
		a.pause(ev.Err)
	default:
		ln.failed = fmt.Errorf("accept: %w", ev.Err)
		a.onError(ln.failed)
	}
	if a.stopped {
		a.closeListeners()
		return
	}
	a.arm()
}

// place gives a new socket to the loop with the fewest connections.
func (a *acceptor) place(fd int) {
	best := a.loop
	for _, l := range a.loop.engine.loops {
		if l.conns.Load() < best.conns.Load() && !l.ended.Load() {
			best = l
		}
	}
	best.conns.Add(1)
	if best == a.loop {
		best.adopt(fd)
		return
	}
	best.Post(&Task{Run: func(l *Loop) { l.adopt(fd) }})
}

func (a *acceptor) pause(why syscall.Errno) {
	now := a.loop.now
	if a.reported == 0 || now-a.reported > int64(acceptReportEvery) {
		a.reported = now
		a.onError(fmt.Errorf("%w: accept: %w", ErrAcceptPaused, why))
	}
	a.paused = true
	a.waiting.Store(true)
	a.backoff = min(max(2*a.backoff, acceptBackoffMin), acceptBackoffMax)
	a.retryAt = now + int64(a.backoff)
}

// room is called when a connection of any loop has closed: its descriptor may
// be what accepting waits for.
func (a *acceptor) room() {
	if a.waiting.Load() && a.waiting.CompareAndSwap(true, false) {
		a.loop.Post(&Task{Run: func(*Loop) { a.retry() }})
	}
}

func (a *acceptor) retry() {
	if a.paused {
		a.paused, a.retryAt = false, 0
		a.waiting.Store(false)
		a.arm()
	}
}

// stop ends accepting; the listening sockets are closed as soon as their
// streams have ended. What the kernel had accepted until then is served.
func (a *acceptor) stop(onStopped func()) {
	a.stopped, a.paused, a.retryAt, a.onStopped = true, false, 0, onStopped
	a.waiting.Store(false)
	for _, ln := range a.listeners {
		if ln.armed {
			a.loop.driver.Cancel(ln.fd, ln.token, ring.OpAccept)
		}
	}
	a.closeListeners()
}

func (a *acceptor) closeListeners() {
	open := false
	for _, ln := range a.listeners {
		if ln.armed {
			open = true
		} else if ln.fd >= 0 {
			a.loop.driver.Close(ln.fd)
			ln.fd = -1
			ln.closed()
		}
	}
	if !open && a.onStopped != nil {
		f := a.onStopped
		a.onStopped = nil
		f()
	}
}

// end follows the end of the first loop. Its driver is gone: after an error
// there may be listeners whose streams have not ended in good order.
func (a *acceptor) end() {
	for _, ln := range a.listeners {
		if ln.fd >= 0 {
			_ = unix.Close(ln.fd)
			ln.fd, ln.armed = -1, false
			ln.closed()
		}
	}
	a.stopped, a.paused, a.retryAt = true, false, 0
	a.closeListeners() // a stop may be waiting for it
}
