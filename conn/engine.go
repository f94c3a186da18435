//go:build linux

package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// Engine runs the loops that serve the connections of one or more listeners.
// Its methods may be called from any goroutine.
type Engine struct {
	opts     Options
	choice   choice
	loops    []*Loop
	acceptor acceptor

	mu       sync.Mutex
	running  int
	err      error
	stopping bool
	released atomic.Bool   // the outbound connections, by the last accepted one
	holds    atomic.Int64  // of Hold
	ended    chan struct{} // closed when the last loop has ended
	failed   chan struct{} // closed when accepting or a loop has failed
	failOnce sync.Once
}

// Start settles on a driver, starts the loops and returns once they run. The
// errors name the cause; asking for IOUring where it cannot be had is one.
func Start(o Options) (*Engine, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	ch, err := chooseDriver(&o)
	if err != nil {
		return nil, err
	}
	e := &Engine{opts: o, choice: ch, ended: make(chan struct{}), failed: make(chan struct{})}
	for i := range o.Loops {
		l := &Loop{engine: e, opts: &e.opts, index: i}
		// Half for the large buffers: they carry the bodies.
		l.tiny = arena{bufSize: tinySize, maxSlabs: max(o.MaxQueued/4/slabSize, 1)}
		l.small = arena{bufSize: smallSize, maxSlabs: max(o.MaxQueued/4/slabSize, 1)}
		l.large = arena{bufSize: largeSize, maxSlabs: o.MaxQueued / 2 / slabSize}
		e.loops = append(e.loops, l)
	}
	e.acceptor.loop = e.loops[0]
	e.acceptor.onError = e.acceptFailed
	e.running = o.Loops
	ready := make(chan error)
	for _, l := range e.loops {
		go l.main(ready)
	}
	for range e.loops {
		if failed := <-ready; err == nil { // the others' errors are of the same kind
			err = failed
		}
	}
	if err != nil {
		for _, l := range e.loops {
			l.Post(&Task{Run: (*Loop).drain})
		}
		<-e.ended
		return nil, fmt.Errorf("conn: cannot start: %w", err)
	}
	return e, nil
}

func (e *Engine) driverConfig() ring.Config {
	o := &e.opts
	return ring.Config{Entries: o.Entries, CQEntries: o.CQEntries, Buffers: o.Buffers,
		BufferSize: o.BufferSize, MaxTier: o.MaxTier, Movable: o.Movable}
}

// Driver returns the kind of driver in use, IOUring or Epoll, and why it is
// not io_uring ("" when it is).
func (e *Engine) Driver() (kind DriverKind, reason string) { return e.choice.kind, e.choice.reason }

// Tier returns the io_uring tier in use, TierBest with another driver.
func (e *Engine) Tier() Tier { return e.choice.tier }

// Loops returns the engine's loops.
func (e *Engine) Loops() []*Loop { return e.loops }

// Conns returns the number of open connections, outbound ones not counted.
func (e *Engine) Conns() int {
	n := 0
	for _, l := range e.loops {
		n += l.Conns()
	}
	return n
}

// Listen takes over a TCP or unix listener and accepts from it. ln itself is
// closed: at once for TCP, when accepting ends for unix (closing removes the
// socket's file).
func (e *Engine) Listen(ln net.Listener) error {
	if e.opts.Handler == nil {
		return errNoHandler
	}
	fd, err := dupListener(ln)
	if err != nil {
		return fmt.Errorf("conn: cannot take over listener %v: %w", ln.Addr(), err)
	}
	closed := func() { _ = ln.Close() }
	if _, ok := ln.(*net.TCPListener); ok {
		// Accepted sockets inherit the listener's options (tcp(7)): set once
		// here, they cost no system call per connection.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		e.keepAlive(fd)
		// Left open it would wake the Go runtime's poller for each connection.
		closed()
		closed = func() {}
	}
	e.acceptor.loop.Post(&Task{Run: func(l *Loop) {
		if l.ended.Load() || e.acceptor.stopped {
			_ = unix.Close(fd)
			closed()
			return
		}
		e.acceptor.add(fd, closed)
	}})
	return nil
}

// keepAlive turns TCP's own keep-alive on, if Options.KeepAlive says so.
func (e *Engine) keepAlive(fd int) {
	d := e.opts.KeepAlive
	if d == 0 {
		return
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	if s := int((d + time.Second - 1) / time.Second); s > 0 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, s)
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, s)
	}
}

// dupListener returns a descriptor of ln's socket that the Go runtime does
// not know.
func dupListener(ln net.Listener) (fd int, err error) {
	sc, ok := ln.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("a %T has no socket", ln)
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	cerr := rc.Control(func(s uintptr) {
		fd, err = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0)
	})
	if cerr != nil {
		return -1, cerr
	}
	return fd, err
}

// Shutdown stops accepting, has the handlers drain their connections, and
// returns when all are closed. When ctx ends first, the remaining ones are cut
// off and its error is returned. Further calls wait for the same end.
func (e *Engine) Shutdown(ctx context.Context) error {
	e.mu.Lock()
	first := !e.stopping
	e.stopping = true
	e.mu.Unlock()
	if first {
		// In this order, so that no loop ends while connections may still
		// be on their way to it.
		e.loops[0].Post(&Task{Run: func(*Loop) {
			e.acceptor.stop(func() {
				for _, l := range e.loops {
					l.Post(&Task{Run: (*Loop).drain})
				}
			})
		}})
	}
	select {
	case <-e.ended:
		return e.Err()
	case <-ctx.Done():
	}
	for _, l := range e.loops {
		l.Post(&Task{Run: (*Loop).abort})
	}
	<-e.ended
	return ctx.Err()
}

// Failed returns a channel that is closed when accepting has failed for good
// or a loop has ended by an error; Err tells which.
func (e *Engine) Failed() <-chan struct{} { return e.failed }

// Done returns a channel that is closed when all loops have ended.
func (e *Engine) Done() <-chan struct{} { return e.ended }

// Err returns the first error that ended a loop or accepting, nil for none.
func (e *Engine) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

func (e *Engine) fail(err error) {
	e.mu.Lock()
	if e.err == nil {
		e.err = err
	}
	e.mu.Unlock()
	e.failOnce.Do(func() { close(e.failed) })
}

func (e *Engine) acceptFailed(err error) {
	if errors.Is(err, ErrAcceptPaused) {
		if e.opts.OnWarning != nil {
			e.opts.OnWarning(err)
		}
		return
	}
	e.fail(err)
}

func (e *Engine) loopEnded(err error) {
	if err != nil {
		e.fail(err)
	}
	e.mu.Lock()
	e.running--
	last := e.running == 0
	e.mu.Unlock()
	if last {
		close(e.ended)
	}
}
