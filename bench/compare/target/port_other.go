//go:build !unix

package target

import (
	"context"
	"net"
)

func listen(_ context.Context, addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
