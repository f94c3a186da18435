//go:build linux

package httpcore

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// The slow lane: connections that are no sockets of the kernel's (TLS, an
// in-memory listener) are served by a loop of their own, over net.Conn. HTTP
// is the same there; what differs is the driver.

// tlsConn is what fasthttp takes for a TLS connection: *tls.Conn, and what
// embeds it.
type tlsConn interface {
	net.Conn
	Handshake() error
	ConnectionState() tls.ConnectionState
}

// maxHandshakes bounds the TLS handshakes under way, each of which has a
// goroutine: beyond it, connections wait in the listener's queue.
const maxHandshakes = 1024

// handshaker is a listener that hands out connections when their handshake is
// done, so that a client which does not finish it holds up nobody and costs no
// slot, and a protocol that was negotiated (ALPN) gets its connection.
type handshaker struct {
	net.Listener
	timeout time.Duration
	protos  map[string]fasthttp.ServeHandler
	logger  fasthttp.Logger

	ready chan net.Conn
	slots chan struct{}
	ended chan struct{}
	err   error // of Accept, once ended is closed
	once  sync.Once
}

func newHandshaker(ln net.Listener, s *Server) *handshaker {
	h := &handshaker{
		Listener: ln, timeout: s.opts.headerTimeout, protos: nextProtos(s.fs), logger: s.logger(),
		ready: make(chan net.Conn), slots: make(chan struct{}, maxHandshakes), ended: make(chan struct{}),
	}
	go h.run()
	return h
}

func (h *handshaker) run() {
	for {
		nc, err := h.Listener.Accept()
		if err != nil {
			h.end(err)
			return
		}
		tc, ok := nc.(tlsConn)
		if !ok {
			h.hand(nc)
			continue
		}
		select {
		case h.slots <- struct{}{}:
			go h.shake(tc)
		case <-h.ended:
			_ = nc.Close()
			return
		}
	}
}

// shake does the handshake of a connection and hands it on.
func (h *handshaker) shake(tc tlsConn) {
	proto, err := handshake(tc, h.timeout)
	<-h.slots
	switch serve := h.protos[proto]; {
	case err != nil:
		_ = tc.Close()
	case serve != nil:
		if err := serve(tc); err != nil {
			h.logger.Printf("httpcore: protocol %q with %v: %v", proto, tc.RemoteAddr(), err)
		}
		_ = tc.Close()
	default:
		h.hand(tc)
	}
}

// handshake returns the protocol that was negotiated, "" for none.
func handshake(tc tlsConn, timeout time.Duration) (string, error) {
	if timeout > 0 {
		if err := tc.SetDeadline(time.Now().Add(timeout)); err != nil {
			return "", err
		}
	}
	if err := tc.Handshake(); err != nil {
		return "", err
	}
	return tc.ConnectionState().NegotiatedProtocol, tc.SetDeadline(time.Time{})
}

func (h *handshaker) hand(nc net.Conn) {
	select {
	case h.ready <- nc:
	case <-h.ended:
		_ = nc.Close()
	}
}

// Accept implements net.Listener.
func (h *handshaker) Accept() (net.Conn, error) {
	select {
	case nc := <-h.ready:
		return nc, nil
	case <-h.ended:
		return nil, h.err
	}
}

// Close implements net.Listener.
func (h *handshaker) Close() error {
	err := h.Listener.Close()
	h.end(net.ErrClosed)
	return err
}

func (h *handshaker) end(err error) {
	h.once.Do(func() {
		h.err = err
		close(h.ended)
	})
}

// servedConn is a connection given to ServeConn, which waits for done.
type servedConn struct {
	net.Conn
	done chan struct{}
	err  error // why it was not served; set before done is closed
}

// bareConn returns what is inside a servedConn.
func bareConn(nc net.Conn) net.Conn {
	if sc, ok := nc.(*servedConn); ok {
		return sc.Conn
	}
	return nc
}

// CloseWrite closes our side, where the connection can do that.
func (c *servedConn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}
