// Command proxy is a reverse proxy of one upstream, over the connections of the
// server's own loops; -dial net makes it use Go's network instead, to compare.
//
//	go run ./bench/server -addr 127.0.0.1:8081
//	go run ./bench/proxy -upstream 127.0.0.1:8081
//	curl '127.0.0.1:8080/slow?ms=1000'   # waits for the upstream
//	curl 127.0.0.1:8080/quick            # does not
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/bench/procs"
	"github.com/ringcore/ringcore/httpcore"
)

type config struct {
	addr, upstream, dial string
	driver, dispatch     string
	loops, conns         int
	timeout              time.Duration
}

func main() {
	var c config
	flag.StringVar(&c.addr, "addr", "127.0.0.1:8080", "where to listen")
	flag.StringVar(&c.upstream, "upstream", "127.0.0.1:8081", "where requests go, HOST:PORT")
	flag.StringVar(&c.dial, "dial", "loop", "connections to the upstream: loop, over the server's loops; net, Go's own")
	flag.StringVar(&c.driver, "driver", "auto", "auto, io_uring or epoll")
	flag.StringVar(&c.dispatch, "dispatch", "adaptive", "where handlers run: adaptive or pooled")
	flag.IntVar(&c.loops, "loops", 0, "number of loops; 0 derives it from GOMAXPROCS")
	flag.IntVar(&c.conns, "conns", 10_000, "most connections to the upstream")
	flag.DurationVar(&c.timeout, "timeout", time.Minute, "how long the upstream may take for an answer")
	flag.Parse()
	if err := run(c); err != nil {
		fmt.Fprintln(os.Stderr, "proxy:", err)
		os.Exit(1)
	}
}

func run(c config) error {
	driver, err := httpcore.ParseDriver(c.driver)
	if err != nil {
		return err
	}
	dispatch, err := httpcore.ParseDispatch(c.dispatch)
	if err != nil {
		return err
	}
	procs.Set(0, c.loops, dispatch)
	upstream := &fasthttp.HostClient{
		Addr: c.upstream, MaxConns: c.conns, MaxIdleConnDuration: time.Minute,
		NoDefaultUserAgentHeader: true, DisablePathNormalizing: true,
	}
	s := httpcore.New(&fasthttp.Server{Handler: forward(upstream, c.timeout)},
		httpcore.WithDriver(driver), httpcore.WithDispatch(dispatch), httpcore.WithLoops(c.loops),
		httpcore.WithReady(func(i httpcore.Info) {
			fmt.Printf("proxy: driver=%s loops=%d dispatch=%s procs=%d dial=%s address=%s upstream=%s\n",
				i.Driver, i.Loops, i.Dispatch, runtime.GOMAXPROCS(0), c.dial, i.Addr, c.upstream)
		}))
	switch c.dial {
	case "loop":
		upstream.DialTimeout = s.Dialer().DialTimeout
	case "net": // fasthttp's default
	default:
		return fmt.Errorf("-dial is %q, want loop or net", c.dial)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the program at once
		ended <- s.Shutdown()
	}()
	if err := s.ListenAndServe(c.addr); err != nil {
		return err
	}
	return <-ended
}

// forward passes requests on, but /quick, which it answers itself.
func forward(upstream *fasthttp.HostClient, timeout time.Duration) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) == "/quick" {
			ctx.SetBodyString("Hello, World!")
			return
		}
		req, resp := &ctx.Request, &ctx.Response
		req.Header.Set("X-Forwarded-For", ctx.RemoteIP().String())
		dropHopByHop(req.Header.Peek, req.Header.Del)
		err := upstream.DoTimeout(req, resp, timeout)
		switch {
		case errors.Is(err, fasthttp.ErrTimeout):
			ctx.Error("the upstream took too long", fasthttp.StatusGatewayTimeout)
		case err != nil:
			ctx.Error("the upstream failed", fasthttp.StatusBadGateway)
		}
		dropHopByHop(resp.Header.Peek, resp.Header.Del)
		resp.Header.ResetConnectionClose() // it was about the upstream's connection
	}
}

// dropHopByHop removes the fields that concern one connection only (RFC 9110,
// section 7.6.1), and those that Connection names.
func dropHopByHop(peek func(string) []byte, del func(string)) {
	for name := range fieldNames(peek("Connection")) {
		del(name)
	}
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "TE", "Upgrade"} {
		del(name)
	}
}
