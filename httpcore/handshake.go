//go:build linux

package httpcore

import (
	"container/list"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// tlsConn is what fasthttp takes for a TLS connection: *tls.Conn, and what
// embeds it.
type tlsConn interface {
	net.Conn
	Handshake() error
	ConnectionState() tls.ConnectionState
}

const (
	// maxHandshakes bounds the TLS handshakes under way, each of which has a
	// goroutine: beyond it, connections wait in the listener's queue.
	maxHandshakes = 1024
	// handshakePatience is how long a handshake keeps its place when others
	// wait for one, so that clients which stall hold up nobody for long.
	handshakePatience = time.Second
)

// handshaker is a listener that hands out connections when their handshake is
// done, so that a client which does not finish it costs no slot of the loop's,
// and a protocol that was negotiated (ALPN) gets its connection.
type handshaker struct {
	net.Listener
	shared *shared
	protos map[string]fasthttp.ServeHandler

	ready chan net.Conn
	ended chan struct{}
	err   error // of Accept, once ended is closed; nil: the listener was closed
	once  sync.Once

	places   int
	patience time.Duration
	room     chan struct{} // capacity 1: a place has become free
	mu       sync.Mutex
	shaking  list.List // of *shaken, the oldest first
}

// shaken is a TLS connection that counts as open from before its handshake.
type shaken struct {
	tlsConn
	begun     time.Time
	ip        netip.Addr
	countedIP bool
}

func newHandshaker(ln net.Listener, b *loopBackend) *handshaker {
	h := &handshaker{
		Listener: ln, shared: &b.shared, protos: nextProtos(b.server.fs),
		ready: make(chan net.Conn), ended: make(chan struct{}),
		places: maxHandshakes, patience: handshakePatience, room: make(chan struct{}, 1),
	}
	if n := b.server.opts.tune.handshakes; n > 0 {
		h.places, h.patience = n, b.server.opts.tune.patience
	}
	go h.run()
	return h
}

func (h *handshaker) run() {
	for {
		nc, err := acceptPatiently(h.Listener, h.shared.cfg.logger, h.ended)
		if err != nil {
			if closedListener(err) {
				err = nil
			}
			h.end(err)
			return
		}
		tc, ok := nc.(tlsConn)
		if !ok {
			h.hand(nc)
			continue
		}
		s := &shaken{tlsConn: tc, ip: remoteAddrOf(tc).Addr()}
		var why admission
		if s.countedIP, why = h.shared.enter(s.ip); why != admitted {
			h.shared.refuse(why)
			go s.Close() // which may wait for the client
			continue
		}
		if place := h.place(s); place != nil {
			go h.shake(s, place)
		} else {
			h.drop(s)
		}
	}
}

// acceptPatiently is ln.Accept, but waits for the end of a shortage.
func acceptPatiently(ln net.Listener, logger fasthttp.Logger, ended <-chan struct{}) (net.Conn, error) {
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		nc, err := ln.Accept()
		var ne net.Error
		if err == nil || !errors.As(err, &ne) || !ne.Temporary() { //nolint:staticcheck // the only sign of EMFILE and its kin
			return nc, err
		}
		logger.Printf("httpcore: cannot accept now, trying again: %v", err)
		select {
		case <-time.After(wait):
		case <-ended:
			return nil, net.ErrClosed
		}
	}
}

// closedListener reports whether err says that the listener was closed. Not
// every one says so by net.ErrClosed; fasthttp looks at the words as well.
func closedListener(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) ||
		strings.Contains(err.Error(), "use of closed network connection")
}

// place waits for a place for s's handshake; nil: the listener has ended.
func (h *handshaker) place(s *shaken) *list.Element {
	for {
		h.mu.Lock()
		s.begun = time.Now()
		if h.shaking.Len() < h.places {
			defer h.mu.Unlock()
			return h.shaking.PushBack(s)
		}
		oldest := h.shaking.Front()
		stalled := oldest.Value.(*shaken) //nolint:forcetypeassert // nothing else is in there
		left := h.patience - s.begun.Sub(stalled.begun)
		if left <= 0 {
			h.shaking.Remove(oldest)
		}
		h.mu.Unlock()
		if left <= 0 {
			_ = stalled.Close() // ends its Handshake
			continue
		}
		select {
		case <-h.room:
		case <-time.After(left):
		case <-h.ended:
			return nil
		}
	}
}

// leave gives a place back, unless somebody has taken it.
func (h *handshaker) leave(place *list.Element) {
	h.mu.Lock()
	h.shaking.Remove(place) // nothing, if it is not in there any more
	h.mu.Unlock()
	select {
	case h.room <- struct{}{}:
	default:
	}
}

// shake does the handshake of a connection and hands it on.
func (h *handshaker) shake(s *shaken, place *list.Element) {
	proto, err := handshake(s, h.shared.cfg.headerTimeout)
	h.leave(place)
	switch serve := h.protos[proto]; {
	case err != nil:
		h.drop(s)
	case serve != nil:
		if err := serve(s.tlsConn); err != nil {
			h.shared.cfg.logger.Printf("httpcore: protocol %q with %v: %v", proto, s.RemoteAddr(), err)
		}
		h.drop(s)
	default:
		h.hand(s)
	}
}

func (h *handshaker) drop(s *shaken) {
	_ = s.Close()
	h.shared.exit(s.ip, s.countedIP)
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
		if s, ok := nc.(*shaken); ok {
			h.drop(s)
		} else {
			_ = nc.Close()
		}
	}
}

// Accept implements net.Listener. Why the listener has ended is h.err.
func (h *handshaker) Accept() (net.Conn, error) {
	select {
	case nc := <-h.ready:
		return nc, nil
	case <-h.ended:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handshaker) Close() error {
	err := h.Listener.Close()
	h.end(nil)
	return err
}

func (h *handshaker) end(err error) {
	h.once.Do(func() {
		h.err = err
		close(h.ended)
	})
}
