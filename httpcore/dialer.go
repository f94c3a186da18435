package httpcore

import (
	"context"
	"errors"
	"net"
	"time"
)

// Dialer makes outbound connections over the loops of a Server: net.Conns for
// clients that block on their goroutines, without a system call of their own.
// It fits
//
//	fasthttp.HostClient.DialTimeout = d.DialTimeout
//	http.Transport.DialContext      = d.DialContext
//	pgconn.Config.DialFunc          = d.DialContext
//
// What the connections promise is in the documentation of conn.Dialer. A handler
// that waits for one needs a goroutine: with Inline dispatch dialling in a
// handler fails at once, for it would wait for its own loop.
//
// The connections outlast a shutdown until the last client's connection has been
// served; then they are closed. On other systems than Linux the connections are
// those of a net.Dialer.
//
// A Dialer may be used by any number of goroutines.
type Dialer struct{ s *Server }

// Dialer returns the Server's. It may be called at any time, but the Dialer
// connects only once the Server serves.
func (s *Server) Dialer() *Dialer { return &Dialer{s} }

var errNotServing = errors.New("httpcore: the server whose loops are to connect has not been started")

// Dial connects to the address ("example.com:80") on the network: tcp, tcp4,
// tcp6 or unix. Without a time limit but the system's.
func (d *Dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialContext is Dial, limited by ctx; the connection is not.
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d.s.mu.Lock()
	dial := d.s.dial
	d.s.mu.Unlock()
	if dial == nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: errNotServing}
	}
	return dial(ctx, network, address)
}

// DialTimeout connects to the TCP address within timeout; 0: no limit.
func (d *Dialer) DialTimeout(address string, timeout time.Duration) (net.Conn, error) {
	ctx := context.Background()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return d.DialContext(ctx, "tcp", address)
}
