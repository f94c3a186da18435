//go:build unix

package target

import (
	"context"
	"net"
	"syscall"
)

// listen listens as a server does that does not take over an address on which
// connections of an earlier one still linger (SO_REUSEADDR, socket(7)): Go sets
// that, gnet does not.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if failed := raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0)
		}); failed != nil {
			return failed
		}
		return err
	}}
	return c.Listen(ctx, "tcp", addr)
}
