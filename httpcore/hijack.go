//go:build linux

package httpcore

import (
	"bytes"
	"io"
	"net"
	"runtime/debug"
	"sync"

	"github.com/valyala/fasthttp"
)

// hijack gives the connection to x's hijack handler: it leaves the loop and
// becomes a connection of the Go runtime, on a goroutine of its own, which
// holds neither a slot nor a worker. What the client has sent behind the
// request goes with it, unless that were pipelined requests which had been
// parsed already: that happens behind a request with Upgrade or CONNECT never.
func (s *session) hijack(x *exchange) {
	h := x.hijack
	s.detached = true
	x.abandoned = true // h may still use its RequestCtx
	s.startTimer(timingNothing)
	s.c.Detach(func(nc net.Conn, rest []byte, err error) {
		if err != nil {
			x.peer.failHandover()
			return // it failed before; Closed follows
		}
		s.setState(fasthttp.StateHijacked)
		sh, ip := s.p.shared, s.remote.Addr()
		gone := func() {}
		if s.countedIP {
			s.countedIP = false
			gone = func() { sh.leaveIP(ip) } // not before it is closed
		}
		sh.leave(s)
		s.p.forget(s)
		go serveHijacked(x, h, bareConn(nc), rest, gone)
	})
}

func serveHijacked(x *exchange, h fasthttp.HijackHandler, nc net.Conn, rest []byte, gone func()) {
	cfg := x.p.cfg
	defer x.ctx.ResetUserValues()
	c := &hijackedConn{Conn: nc, r: io.MultiReader(bytes.NewReader(rest), nc), keep: cfg.fs.KeepHijackedConns, gone: gone}
	if len(rest) == 0 {
		c.r = nc
	}
	defer func() {
		if r := recover(); r != nil {
			cfg.logger.Printf("httpcore: panic in a hijack handler: %v\n%s", r, debug.Stack())
			_ = c.close()
		} else if !c.keep {
			_ = c.close()
		}
	}()
	if g := x.peer.handover(); g != nil {
		g.decide(c)
	}
	h(c)
}

// hijackedConn reads first what the client had sent already. As with fasthttp,
// Close does nothing unless KeepHijackedConns is set: the connection is closed
// when the handler returns.
type hijackedConn struct {
	net.Conn
	r    io.Reader
	keep bool
	once sync.Once
	gone func() // called when it is closed
}

func (c *hijackedConn) close() (err error) {
	c.once.Do(func() {
		err = c.Conn.Close()
		c.gone()
	})
	return err
}

func (c *hijackedConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// CloseWrite closes our side: the peer sees the end, and may still write. On a
// connection that cannot do that it fails.
func (c *hijackedConn) CloseWrite() error { return closeWrite(c.Conn) }

func (c *hijackedConn) Close() error {
	if !c.keep {
		return nil
	}
	return c.close()
}

// UnsafeConn returns the connection underneath, as fasthttp's has it. What the
// client had sent before the hijack is not read from it.
func (c *hijackedConn) UnsafeConn() net.Conn { return c.Conn }
