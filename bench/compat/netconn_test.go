//go:build linux

package compat

import (
	"context"
	"net"
	"testing"

	"golang.org/x/net/nettest"

	"github.com/ringcore/ringcore/conn"
)

// TestNetConn: a Dialer's connections behave as x/net/nettest wants it of every
// net.Conn, on either side of a conversation.
func TestNetConn(t *testing.T) {
	for _, kind := range []conn.DriverKind{conn.IOUring, conn.Epoll} {
		for _, network := range []string{"tcp", "unix"} {
			for _, side := range []string{"first", "second"} {
				t.Run(kind.String()+"/"+network+"/"+side, func(t *testing.T) {
					engine, err := conn.Start(conn.Options{Driver: kind})
					if err != nil {
						t.Skip(err) // no io_uring here
					}
					defer func() {
						ctx, cancel := context.WithCancel(context.Background())
						cancel()
						_ = engine.Shutdown(ctx)
					}()
					dialer := &conn.Dialer{Engine: engine}
					nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
						c1, c2, err = pair(dialer, network)
						if side == "second" {
							c1, c2 = c2, c1
						}
						return c1, c2, func() {
							if err == nil {
								_, _ = c1.Close(), c2.Close()
							}
						}, err
					})
				})
			}
		}
	}
}

// pair returns a connection of the dialer and its peer, which is Go's own.
func pair(d *conn.Dialer, network string) (dialled, accepted net.Conn, err error) {
	ln, err := nettest.NewLocalListener(network)
	if err != nil {
		return nil, nil, err
	}
	defer ln.Close()
	if dialled, err = d.Dial(network, ln.Addr().String()); err != nil {
		return nil, nil, err
	}
	if accepted, err = ln.Accept(); err != nil {
		_ = dialled.Close()
		return nil, nil, err
	}
	return dialled, accepted, nil
}
