package httpcore

import (
	"context"
	"net"
	"runtime"
	"sync"

	"github.com/ringcore/ringcore/conn"
)

// loopBackend serves listeners from completion loops.
type loopBackend struct {
	server *Server
	engine *conn.Engine
	shared shared

	slowMu   sync.Mutex
	slow     *conn.Engine // for what is no socket; nil until it is needed
	stopping bool
	stopped  chan struct{} // closed when shutdown begins

	mu        sync.Mutex
	protocols []*protocol
}

func newBackend(s *Server) (backend, error) {
	if errInside != nil {
		return nil, errInside
	}
	b := &loopBackend{server: s, stopped: make(chan struct{})}
	b.shared.cfg = newConfig(s)
	b.shared.timeoutSlots = make(chan struct{}, b.shared.cfg.concurrency)
	e, err := conn.Start(b.connOptions())
	if err != nil {
		return nil, err
	}
	b.engine = e
	if kind, reason := e.Driver(); s.opts.driver == Auto && kind == conn.Epoll {
		b.shared.cfg.logger.Printf("httpcore: serving by epoll: %s", reason) // a silent fallback helps nobody
	}
	return b, nil
}

func (b *loopBackend) connOptions() conn.Options {
	opts, cfg := &b.server.opts, &b.shared.cfg
	o := conn.Options{
		Driver: opts.driver, MaxTier: opts.maxTier, Loops: opts.loops,
		Handler: b.newProtocol,
		// A whole head must fit, and a little of what comes after it.
		ReadLimit: max(64<<10, cfg.headLimit+4<<10),
		Movable:   opts.dispatch == Adaptive,
		// With one processor a turn of the workers is two switches of threads.
		Gather:    opts.dispatch == Pooled && runtime.GOMAXPROCS(0) == 1,
		OnWarning: func(err error) { cfg.logger.Printf("%v", err) },
	}
	if o.Loops == 0 {
		o.Loops = defaultLoops(runtime.GOMAXPROCS(0), opts.dispatch)
	}
	if cfg.fs.TCPKeepalive {
		o.KeepAlive = cfg.fs.TCPKeepalivePeriod
		if o.KeepAlive <= 0 {
			o.KeepAlive = -1
		}
	}
	if opts.tune.conn != nil {
		opts.tune.conn(&o)
	}
	return o
}

func (b *loopBackend) newProtocol(l *conn.Loop) conn.Handler {
	p := newProtocol(&b.shared, l)
	b.mu.Lock()
	b.protocols = append(b.protocols, p)
	b.mu.Unlock()
	return p
}

func (b *loopBackend) serve(ln net.Listener) error {
	e := b.engine
	switch ln.(type) {
	case *net.TCPListener, *net.UnixListener:
		if err := e.Listen(ln); err != nil {
			return err
		}
	default:
		var err error
		if e, err = b.slowEngine(); err != nil {
			return err
		}
		h := newHandshaker(ln, b)
		e.ListenNet(h)
		select {
		case <-h.ended: // the listener was closed, or has failed: what it accepted is served on
			return h.err
		case <-b.stopped:
			_ = h.Close()
			return nil
		case <-e.Failed():
			return e.Err()
		}
	}
	select {
	case <-b.stopped:
		return nil
	case <-e.Failed():
		return e.Err()
	}
}

// slowEngine returns the engine for connections that are no sockets.
func (b *loopBackend) slowEngine() (*conn.Engine, error) {
	b.slowMu.Lock()
	defer b.slowMu.Unlock()
	select {
	case <-b.stopped:
		return nil, net.ErrClosed
	default:
	}
	if b.slow == nil {
		o := b.connOptions()
		o.Loops = 1
		e, err := conn.StartNet(o)
		if err != nil {
			return nil, err
		}
		b.slow = e
	}
	return b.slow, nil
}

// serveConn serves one connection and returns when it is closed.
func (b *loopBackend) serveConn(nc net.Conn) error {
	e, err := b.slowEngine()
	if err != nil {
		_ = nc.Close()
		return err
	}
	if tc, ok := nc.(tlsConn); ok {
		proto, err := handshake(tc, b.shared.cfg.headerTimeout)
		if err != nil {
			_ = nc.Close()
			return err
		}
		if h := nextProtos(b.server.fs)[proto]; h != nil {
			defer nc.Close()
			return h(nc)
		}
	}
	sc := &servedConn{Conn: nc, done: make(chan struct{})}
	e.ServeNet(sc)
	select {
	case <-sc.done:
		return sc.err
	case <-e.Done():
		return net.ErrClosed
	}
}

func (b *loopBackend) dialer() dialFunc { return (&conn.Dialer{Engine: b.engine}).DialContext }

func (b *loopBackend) shutdown(ctx context.Context) error {
	b.slowMu.Lock()
	slow := b.slow
	if !b.stopping {
		b.stopping = true
		close(b.stopped)
	}
	b.slowMu.Unlock()
	var slowErr error
	done := make(chan struct{})
	release := b.engine.Hold() // the slow lane's handlers may use outbound connections
	go func() {
		if slow != nil {
			slowErr = slow.Shutdown(ctx)
		}
		release()
		close(done)
	}()
	err := b.engine.Shutdown(ctx)
	<-done
	for _, p := range b.protocols {
		if p.pool != nil {
			p.pool.stop()
		}
	}
	if err == nil {
		err = slowErr
	}
	return err
}

func (b *loopBackend) info() Info {
	kind, reason := b.engine.Driver()
	i := Info{Driver: kind.String(), Reason: reason, Loops: len(b.engine.Loops()), Dispatch: b.shared.cfg.dispatch.String()}
	if kind == conn.IOUring {
		i.Tier = b.engine.Tier().String()
	}
	return i
}

func (b *loopBackend) counts() counts {
	return counts{open: int32(b.shared.open.Load()), rejected: b.shared.rejections.Load()}
}
