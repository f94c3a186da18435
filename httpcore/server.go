package httpcore

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/valyala/fasthttp"
)

// Server serves the handler of a fasthttp.Server from completion loops. Its
// methods may be called from any goroutine.
type Server struct {
	fs   *fasthttp.Server
	opts options

	mu      sync.Mutex
	backend backend // nil while nothing is served
	info    Info
	dial    dialFunc // of the newest backend, which may be ended or draining
}

// Info says how a Server serves.
type Info struct {
	// Driver is "io_uring" or "epoll" ("net" on other systems than Linux).
	Driver string
	// Reason says why the driver is not io_uring; empty when it is.
	Reason string
	// Tier is what io_uring offers here: "5.19", "6.0" or "6.1", named after
	// the kernels that brought it; empty with another driver.
	Tier string
	// Loops is the number of event loops.
	Loops int
	// Dispatch says where handlers run.
	Dispatch string
	// Addr is the address of the newest listener.
	Addr net.Addr
}

// dialFunc is that of net.Dialer.DialContext.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// backend serves listeners: the loops on Linux, fasthttp elsewhere.
type backend interface {
	// serve serves ln until shutdown or failure.
	serve(ln net.Listener) error
	shutdown(ctx context.Context) error
	// serveConn serves one connection and returns when it is closed.
	serveConn(nc net.Conn) error
	dialer() dialFunc
	info() Info
	counts() counts
	stats(ctx context.Context) []LoopStats
}

// ErrNoHandler is returned by Serve when the fasthttp.Server has no Handler.
var ErrNoHandler = errors.New("httpcore: fasthttp.Server.Handler is nil")

// New returns a Server that serves as fs is configured. fs must not be changed
// any more, nor be served by fasthttp at the same time.
func New(fs *fasthttp.Server, opts ...Option) *Server {
	s := &Server{fs: fs, opts: defaultOptions()}
	for _, o := range opts {
		o(&s.opts)
	}
	return s
}

// ListenAndServe serves h on the TCP address addr until an error occurs.
func ListenAndServe(addr string, h fasthttp.RequestHandler, opts ...Option) error {
	return New(&fasthttp.Server{Handler: h}, opts...).ListenAndServe(addr)
}

// ListenAndServe listens on the TCP address addr, such as "127.0.0.1:8080",
// ":8080" (every address, IPv4 and IPv6) or "[::1]:0" (a free port), and
// serves until Shutdown, when it returns nil, or an error.
func (s *Server) ListenAndServe(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return s.Serve(ln)
}

// Serve takes over ln and serves it until Shutdown, when it returns nil, or an
// error. A TCP or unix listener is served by the loops; ln itself is closed.
// Any other (TLS, in memory) is served by the slow lane: HTTP is the same, but
// each connection that is being received from has a goroutine. Several
// listeners may be served at once; they share the loops.
func (s *Server) Serve(ln net.Listener) error {
	b, err := s.start(ln.Addr())
	if err != nil {
		_ = ln.Close()
		return err
	}
	return b.serve(ln)
}

// ServeConn serves one connection that was made elsewhere, in the slow lane,
// and returns when it is closed or hijacked. nc is closed by then, unless a
// hijack handler has it. The error says why nc was not served.
func (s *Server) ServeConn(nc net.Conn) error {
	b, err := s.start(nc.LocalAddr())
	if err != nil {
		_ = nc.Close()
		return err
	}
	return b.serveConn(nc)
}

// start opens the loops when they are first needed.
func (s *Server) start(addr net.Addr) (backend, error) {
	if s.fs.Handler == nil {
		return nil, ErrNoHandler
	}
	b, info, err := s.open(addr)
	if err == nil && s.opts.ready != nil {
		s.opts.ready(info)
	}
	return b, err
}

func (s *Server) open(addr net.Addr) (backend, Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backend == nil {
		b, err := newBackend(s)
		if err != nil {
			return nil, Info{}, err
		}
		s.backend, s.dial = b, b.dialer()
	}
	s.info = s.backend.info()
	s.info.Addr = addr
	return s.backend, s.info, nil
}

// Shutdown stops accepting, closes the connections that are idle, answers
// every request that was accepted, and returns when all connections are
// closed. Serve returns at once. The Server may serve again afterwards.
func (s *Server) Shutdown() error { return s.ShutdownWithContext(context.Background()) }

// ShutdownWithContext is Shutdown with a limit: when ctx ends first, the
// remaining connections are cut off and ctx's error is returned.
func (s *Server) ShutdownWithContext(ctx context.Context) error {
	s.mu.Lock()
	b := s.backend
	s.backend = nil
	s.mu.Unlock()
	if b == nil {
		return nil
	}
	return b.shutdown(ctx)
}

// Driver returns the driver in use, "io_uring" or "epoll", and the reason why
// it is not io_uring. Before Serve has been called both are empty.
func (s *Server) Driver() (name, reason string) {
	i := s.Info()
	return i.Driver, i.Reason
}

// Info returns how the server serves; it is zero before Serve has been called.
func (s *Server) Info() Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info
}

// GetOpenConnectionsCount returns the number of open connections, without
// those that were hijacked.
func (s *Server) GetOpenConnectionsCount() int32 { return s.counts().open }

// GetCurrentConcurrency is the same number; fasthttp has both.
func (s *Server) GetCurrentConcurrency() uint32 { return uint32(s.counts().open) }

// GetRejectedConnectionsCount returns how many connections were refused
// because of Concurrency or MaxConnsPerIP.
func (s *Server) GetRejectedConnectionsCount() uint32 { return s.counts().rejected }

// counts are the counters of a backend.
type counts struct {
	open     int32
	rejected uint32
}

func (s *Server) counts() counts {
	s.mu.Lock()
	b := s.backend
	s.mu.Unlock()
	if b == nil {
		return counts{}
	}
	return b.counts()
}

func (s *Server) logger() fasthttp.Logger {
	if s.fs.Logger != nil {
		return s.fs.Logger
	}
	return defaultLogger
}
