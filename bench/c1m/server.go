//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"syscall"

	"github.com/ringcore/ringcore/httpcore"
	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

// serverOrder is what a server process is told on its standard input.
type serverOrder struct {
	Addr   string
	Driver string
}

// serverReady is what it answers when it listens.
type serverReady struct {
	Addr, Driver, Tier, Reason string
}

var hello = []byte("Hello, World!")

// serve serves until its standard input ends.
func serve(in io.Reader, out io.Writer) error {
	var o serverOrder
	d := json.NewDecoder(in)
	if err := d.Decode(&o); err != nil {
		return err
	}
	kind, err := httpcore.ParseDriver(o.Driver)
	if err != nil {
		return err
	}
	ln, err := listen(o.Addr)
	if err != nil {
		return err
	}
	s := httpcore.New(&fasthttp.Server{
		Name: "ringcore", Concurrency: 1 << 20,
		Handler: func(ctx *fasthttp.RequestCtx) { ctx.Response.SetBodyRaw(hello) },
	}, httpcore.WithDriver(kind), httpcore.WithLoops(1), httpcore.WithDispatch(httpcore.Inline), httpcore.WithReady(func(i httpcore.Info) {
		_ = json.NewEncoder(out).Encode(serverReady{i.Addr.String(), i.Driver, i.Tier, i.Reason})
	}))
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, io.MultiReader(d.Buffered(), in))
		ended <- err
	}()
	select {
	case err := <-served:
		return fmt.Errorf("stopped unasked: %w", err)
	case err := <-ended:
		return err // the process ends, and everything with it
	}
}

// listen listens on addr beside the other processes that do.
func listen(addr string) (net.Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if cerr := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}); cerr != nil {
			return cerr
		}
		return err
	}}
	return lc.Listen(context.Background(), "tcp", addr)
}
