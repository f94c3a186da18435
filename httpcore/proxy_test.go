//go:build linux

package httpcore

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// proxyTo returns a server that answers /local itself and passes the rest on to
// address by a fasthttp.HostClient over its own loops.
func proxyTo(t *testing.T, m mode, address string, opts ...Option) *testServer {
	t.Helper()
	var up *fasthttp.HostClient
	ready := make(chan bool)
	fs := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		<-ready
		if string(ctx.Path()) == "/local" {
			ctx.WriteString("local")
			return
		}
		ctx.Request.Header.Del("Connection")
		if err := up.Do(&ctx.Request, &ctx.Response); err != nil {
			code := fasthttp.StatusBadGateway
			if errors.Is(err, fasthttp.ErrTimeout) {
				code = fasthttp.StatusGatewayTimeout
			}
			ctx.Error("upstream: "+err.Error(), code)
		}
		ctx.Response.Header.ResetConnectionClose() // RFC 9110, 7.6.1: it is the upstream's connection's
	}}
	s := serve(t, m, fs, append([]Option{WithLoops(2)}, opts...)...)
	up = &fasthttp.HostClient{
		Addr: address, DialTimeout: s.Dialer().DialTimeout, MaxConns: 10_000,
		ReadTimeout: 20 * time.Second, MaxIdemponentCallAttempts: 1,
	}
	close(ready)
	return s
}

func (ts *testServer) outbound() (n int) {
	for _, l := range ts.engine().Loops() {
		n += l.Outbound()
	}
	return n
}

// TestProxy: requests and responses of all sizes go through, connections to the
// upstream are used again, and end with the server.
func TestProxy(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		up := serve(t, m, &fasthttp.Server{MaxRequestBodySize: 8 << 20, Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.SetBody(ctx.Request.Body())
			ctx.Response.Header.Set("X-Path", string(ctx.Path()))
		}})
		ts := proxyTo(t, m, up.addr)
		c := ts.dial()
		for _, n := range []int{0, 1, 1000, 100_000, 1 << 20} {
			body := string(pattern(n))
			c.send(request("POST", "/up", body))
			if r := c.response("POST"); r.StatusCode != 200 || r.body != body || r.Header.Get("X-Path") != "/up" {
				t.Fatalf("%d bytes: %v with %d bytes", n, r.Status, len(r.body))
			}
		}
		if n := ts.outbound(); n != 1 {
			t.Errorf("%d connections to the upstream", n)
		}
		c.send(get("/local"))
		c.want(200, "local")
		ended := ts.beginShutdown() // the idle upstream connection is closed with it
		c.wantEOF()
		c.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		up.wantNoConns()
	})
}

// TestProxyMany: many clients at once, each gets its own answer.
func TestProxyMany(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		up := serve(t, m, &fasthttp.Server{Handler: echo})
		ts := proxyTo(t, m, up.addr)
		const clients, each = 50, 10
		failed := make(chan string, clients)
		for i := range clients {
			go func() {
				c, err := net.Dial("tcp", ts.addr)
				if err != nil {
					failed <- err.Error()
					return
				}
				defer c.Close()
				cl := newClient(t, c)
				for k := range each {
					path := "/" + itoa(i) + "-" + itoa(k)
					_, _ = io.WriteString(c, get(path))
					if r, err := cl.tryResponse("GET"); err != nil || !strings.Contains(r.body, path) {
						failed <- path + " got " + r.body
						return
					}
				}
				failed <- ""
			}()
		}
		for range clients {
			if s := <-failed; s != "" {
				t.Error(s)
			}
		}
	})
}

// TestProxySlowUpstream: while the upstream answers nobody, local answers come
// at once, and then all the others.
func TestProxySlowUpstream(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		release := make(chan struct{})
		up := serve(t, mode{m.driver, Pooled, m.tier}, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			<-release
			ctx.WriteString("late")
		}})
		ts := proxyTo(t, m, up.addr, WithLoops(1))
		waiting := make([]*client, 50)
		for i := range waiting {
			waiting[i] = ts.dial()
			waiting[i].send(get("/up"))
		}
		for range 50 {
			c := ts.dial()
			c.send(get("/local"))
			c.want(200, "local")
		}
		close(release)
		for _, c := range waiting {
			c.want(200, "late")
		}
	})
}

// TestProxyUpstreamDies: refusing, closing in the middle of an answer, resetting
// and never answering lead to 502 and 504, and the next request goes through.
func TestProxyUpstreamDies(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		answers := make(chan func(net.Conn), 1)
		go func() {
			for {
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				go func() {
					_, _ = nc.Read(make([]byte, 4096))
					(<-answers)(nc)
					_ = nc.Close()
				}()
			}
		}()
		ts := proxyTo(t, m, ln.Addr().String())
		c := ts.dial()
		ask := func(what string, status int, answer func(net.Conn)) {
			t.Helper()
			if answer != nil {
				answers <- answer
			}
			c.send(get("/up"))
			if r := c.response("GET"); r.StatusCode != status {
				t.Errorf("%s: %v %s", what, r.Status, r.body)
			}
		}
		say := func(s string) func(net.Conn) { return func(nc net.Conn) { _, _ = io.WriteString(nc, s) } }
		ask("an answer", 200, say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"))
		ask("half an answer", 502, say("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nhalf"))
		ask("no answer", 502, func(net.Conn) {})
		ask("a reset", 502, func(nc net.Conn) { _ = nc.(*net.TCPConn).SetLinger(0) })
		ask("an answer again", 200, say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"))
		ln.Close()
		ask("nobody listens", 502, nil)
		c.send(get("/local"))
		c.want(200, "local")
	})
}

// TestProxyDeadline: the client's patience with the upstream is bounded, and
// its connection closed.
func TestProxyDeadline(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		ended := make(chan error, 1)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		go func() {
			for {
				nc, err := ln.Accept()
				n := int64(0)
				if err == nil {
					n, err = io.Copy(io.Discard, nc) // until the proxy closes
					_ = nc.Close()
				}
				if n > 0 || errors.Is(err, net.ErrClosed) { // else its dialling took too long
					ended <- err
					return
				}
			}
		}()
		var up *fasthttp.HostClient
		ready := make(chan bool)
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			<-ready
			d, err := 30*time.Millisecond, context.DeadlineExceeded
			for ; errors.Is(err, context.DeadlineExceeded) && d < patience; d *= 2 { // of dialling, on a slow machine
				err = up.DoTimeout(&ctx.Request, &ctx.Response, d)
			}
			if !errors.Is(err, fasthttp.ErrTimeout) {
				t.Errorf("%v, want a timeout", err)
			}
			ctx.Error("late", fasthttp.StatusGatewayTimeout)
		}})
		up = &fasthttp.HostClient{Addr: ln.Addr().String(), DialTimeout: ts.Dialer().DialTimeout}
		close(ready)
		if status, _ := ts.get("/"); status != fasthttp.StatusGatewayTimeout {
			t.Errorf("status %d", status)
		}
		if err := <-ended; err != nil {
			t.Errorf("the upstream's connection ended with %v", err)
		}
	})
}

// TestProxyClientDies: the upstream's answer to a client that has gone harms
// nobody, and its connection serves the next.
func TestProxyClientDies(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		arrived, release := make(chan bool), make(chan bool)
		up := serve(t, mode{m.driver, Pooled, m.tier}, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			arrived <- true
			<-release
			ctx.WriteString("answer")
		}})
		ts := proxyTo(t, m, up.addr)
		for range 3 {
			c := ts.dial()
			c.send(get("/up"))
			<-arrived
			_ = c.Conn.(*net.TCPConn).SetLinger(0)
			c.Close()
			ts.wantNoConns()
			release <- true
		}
		c := ts.dial()
		c.send(get("/up"))
		<-arrived
		release <- true
		c.want(200, "answer")
	})
}

// TestProxyShutdown: what waits for the upstream when the server is shut down
// is answered, over a connection that is made then and there, too; in the slow
// lane as well. When the time is up all is cut off.
func TestProxyShutdown(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		arrived, release := make(chan bool), make(chan bool)
		up := serve(t, mode{m.driver, Pooled, m.tier}, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			arrived <- true
			<-release
			ctx.WriteString("answer")
		}})
		var server atomic.Pointer[Server]
		h := func(ctx *fasthttp.RequestCtx) { // two connections, one after the other
			for range 2 {
				c := &fasthttp.HostClient{Addr: up.addr, DialTimeout: server.Load().Dialer().DialTimeout}
				if err := c.Do(&ctx.Request, &ctx.Response); err != nil {
					ctx.Error(err.Error(), fasthttp.StatusBadGateway)
					return
				}
				c.CloseIdleConnections()
			}
		}
		start := func() *testServer {
			ts := serve(t, m, &fasthttp.Server{Handler: h}, WithLoops(2))
			server.Store(ts.Server)
			return ts
		}
		finish := func(ts *testServer, c *client) {
			t.Helper()
			<-arrived
			ended := ts.beginShutdown()
			release <- true
			<-arrived
			release <- true
			c.want(200, "answer")
			c.Close()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		ts := start()
		c := ts.dial()
		c.send(get("/up"))
		finish(ts, c)

		ts = start()
		front, back := net.Pipe() // no socket: the slow lane
		go func() { _ = ts.ServeConn(back) }()
		c = newClient(t, front)
		c.send(get("/up"))
		finish(ts, c)

		ts = start()
		c = ts.dial()
		c.send(get("/up"))
		<-arrived
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := ts.ShutdownWithContext(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("shutdown: %v", err)
		}
		release <- true
		if _, err := server.Load().Dialer().Dial("tcp", up.addr); err == nil {
			t.Error("dialled after the end")
		}
	})
}

// TestDialerOfIdleServer: before it serves a server has no loops to dial on, and
// with Inline dispatch a handler cannot wait for its own.
func TestDialerOfIdleServer(t *testing.T) {
	s := New(&fasthttp.Server{Handler: echo})
	if _, err := s.Dialer().Dial("tcp", "127.0.0.1:1"); !errors.Is(err, errNotServing) {
		t.Errorf("%v, want errNotServing", err)
	}
	for _, d := range []DriverKind{IOUring, Epoll} {
		m := mode{d, Inline, TierBest}
		t.Run(m.String(), func(t *testing.T) {
			requireDriver(t, m)
			ts := proxyTo(t, m, "127.0.0.1:1")
			if status, body := ts.get("/up"); status != 502 || !strings.Contains(body, "own goroutine") {
				t.Errorf("%d %s", status, body)
			}
		})
	}
}

// TestDialerOfTransport: net/http's client works over a Dialer, with TLS.
func TestDialerOfTransport(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		addr, roots := serveTLSTest(t, m, &fasthttp.Server{Handler: echo, MaxRequestBodySize: 1 << 20}, nil)
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		tr := &http.Transport{DialContext: ts.Dialer().DialContext, TLSClientConfig: &tls.Config{RootCAs: roots}}
		defer tr.CloseIdleConnections()
		body := string(pattern(500_000))
		resp, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Post("https://"+addr+"/x", "", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if b, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(b), body) {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	})
}
