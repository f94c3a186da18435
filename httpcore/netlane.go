//go:build linux

package httpcore

import (
	"errors"
	"net"
)

// The slow lane: connections that are no sockets of the kernel's (TLS, an
// in-memory listener) are served by a loop of their own, over net.Conn. HTTP
// is the same there; what differs is the driver.

// servedConn is a connection given to ServeConn, which waits for done.
type servedConn struct {
	net.Conn
	done chan struct{}
	err  error // why it was not served to a good end; set before done is closed
}

// bareConn returns what is inside a servedConn or a shaken.
func bareConn(nc net.Conn) net.Conn {
	switch c := nc.(type) {
	case *servedConn:
		return c.Conn
	case *shaken:
		return c.tlsConn
	}
	return nc
}

// CloseWrite closes our side, where the connection can do that.
func (c *servedConn) CloseWrite() error { return closeWrite(c.Conn) }

// CloseWrite sends TLS's close_notify.
func (c *shaken) CloseWrite() error { return closeWrite(c.tlsConn) }

func closeWrite(nc net.Conn) error {
	if cw, ok := nc.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}
