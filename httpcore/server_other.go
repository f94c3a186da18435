//go:build !linux

package httpcore

import (
	"context"
	"net"
	"runtime"
)

// tuning has nothing to tune here.
type tuning struct{}

// netBackend serves through fasthttp's own server, so that applications can be
// developed on any system.
type netBackend struct{ s *Server }

func newBackend(s *Server) (backend, error) {
	s.fs.Handler = suspendable(s.fs.Handler) // once more does no harm
	return netBackend{s}, nil
}

func (b netBackend) serve(ln net.Listener) error { return b.s.fs.Serve(ln) }

func (b netBackend) serveConn(nc net.Conn) error { return b.s.fs.ServeConn(nc) }

func (b netBackend) dialer() dialFunc { return new(net.Dialer).DialContext }

func (b netBackend) shutdown(ctx context.Context) error { return b.s.fs.ShutdownWithContext(ctx) }

func (b netBackend) info() Info {
	return Info{
		Driver: "net", Dispatch: "goroutine per connection",
		Reason: "the loops need Linux; on " + runtime.GOOS + " fasthttp's own server serves, for development",
	}
}

func (b netBackend) counts() counts {
	return counts{open: b.s.fs.GetOpenConnectionsCount(), rejected: b.s.fs.GetRejectedConnectionsCount()}
}

func (b netBackend) stats(context.Context) []LoopStats { return nil }
