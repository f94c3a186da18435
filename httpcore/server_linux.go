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
	engine    *conn.Engine
	shared    shared
	mu        sync.Mutex
	protocols []*protocol
	stopped   chan struct{} // closed when shutdown begins
	stopOnce  sync.Once
}

func newBackend(s *Server) (backend, error) {
	if errInside != nil {
		return nil, errInside
	}
	b := &loopBackend{stopped: make(chan struct{})}
	b.shared.cfg = newConfig(s)
	b.shared.timeoutSlots = make(chan struct{}, b.shared.cfg.concurrency)
	o := conn.Options{
		Driver: s.opts.driver, MaxTier: s.opts.maxTier, Loops: s.opts.loops,
		Handler: b.newProtocol,
		// A whole head must fit, and a little of what comes after it.
		ReadLimit: max(64<<10, b.shared.cfg.headLimit+4<<10),
		OnWarning: func(err error) { b.shared.cfg.logger.Printf("%v", err) },
	}
	if o.Loops == 0 {
		o.Loops = defaultLoops(runtime.GOMAXPROCS(0), s.opts.dispatch)
	}
	if s.opts.tune.conn != nil {
		s.opts.tune.conn(&o)
	}
	e, err := conn.Start(o)
	if err != nil {
		return nil, err
	}
	b.engine = e
	return b, nil
}

func (b *loopBackend) newProtocol(l *conn.Loop) conn.Handler {
	p := newProtocol(&b.shared, l)
	b.mu.Lock()
	b.protocols = append(b.protocols, p)
	b.mu.Unlock()
	return p
}

func (b *loopBackend) serve(ln net.Listener) error {
	if err := b.engine.Listen(ln); err != nil {
		return err
	}
	select {
	case <-b.stopped:
		return nil
	case <-b.engine.Failed():
		return b.engine.Err()
	}
}

func (b *loopBackend) shutdown(ctx context.Context) error {
	b.stopOnce.Do(func() { close(b.stopped) })
	err := b.engine.Shutdown(ctx)
	for _, p := range b.protocols {
		if p.pool != nil {
			p.pool.stop()
		}
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
