//go:build linux

package httpcore

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func hijackPanics(net.Conn) { panic("on purpose") }

// echoLines sends each line back, until EOF.
func echoLines(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		io.WriteString(c, "echo "+line)
	}
}

func (c *client) wantLine(want string) {
	c.t.Helper()
	if line, err := c.r.ReadString('\n'); err != nil || line != want {
		c.t.Fatalf("got %q and %v, want %q", line, err, want)
	}
}

func hijacker(ctx *fasthttp.RequestCtx) {
	switch string(ctx.Path()) {
	case "/hijack":
		ctx.SetUserValue("k", "v")
		ctx.Hijack(func(c net.Conn) {
			// The context may be used in here, as with fasthttp.
			io.WriteString(c, string(ctx.Path())+" "+ctx.UserValue("k").(string)+" "+c.RemoteAddr().String()+"\n")
			echoLines(c)
		})
	case "/silent":
		ctx.HijackSetNoResponse(true)
		ctx.Hijack(echoLines)
	case "/upgrade":
		ctx.SetStatusCode(101)
		ctx.Response.Header.Set("Connection", "Upgrade")
		ctx.Response.Header.Set("Upgrade", "lines")
		ctx.Hijack(echoLines)
	default:
		echo(ctx)
	}
}

func TestHijack(t *testing.T) {
	const upgrade = "GET /upgrade HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\n"
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: hijacker, IdleTimeout: time.Minute})
		t.Run("after the response", func(t *testing.T) {
			c := ts.dial()
			c.send(get("/1") + get("/hijack"))
			c.want(200, "GET /1||")
			c.want(200, "")
			c.wantLine("/hijack v " + c.LocalAddr().String() + "\n")
			c.send("a\n")
			c.wantLine("echo a\n")
			c.halfClose()
			c.wantEOF()
		})
		t.Run("with octets that are not HTTP behind the request", func(t *testing.T) {
			c := ts.dial()
			c.send(get("/hijack") + "\x00binary\n")
			c.want(200, "")
			c.wantLine("/hijack v " + c.LocalAddr().String() + "\n")
			c.wantLine("echo \x00binary\n")
			c.send("b\n")
			c.wantLine("echo b\n")
		})
		t.Run("with octets that look like HTTP behind an upgrade", func(t *testing.T) {
			c := ts.dial()
			c.send(upgrade + get("/2"))
			if r := c.response("GET"); r.StatusCode != 101 || r.Header.Get("Connection") != "Upgrade" {
				t.Fatalf("got %d %v", r.StatusCode, r.Header)
			}
			c.wantLine("echo GET /2 HTTP/1.1\r\n")
			c.wantLine("echo Host: test\r\n")
		})
		t.Run("without a response", func(t *testing.T) {
			c := ts.dial()
			c.send(get("/silent") + "\x01\n")
			c.wantLine("echo \x01\n")
		})
		t.Run("twice in a row", func(t *testing.T) {
			for range 50 {
				c := ts.dial()
				c.send(upgrade)
				if r := c.response("GET"); r.StatusCode != 101 {
					t.Fatalf("got %d", r.StatusCode)
				}
				c.send("x\n")
				c.wantLine("echo x\n")
				c.Close()
			}
		})
		ts.wantNoConns() // hijacked ones are not the loop's any more
	})
}

// DisableKeepalive ends the use of a connection for requests. So does a hijack.
func TestHijackDespiteDisableKeepalive(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: hijacker, DisableKeepalive: true, MaxRequestsPerConn: 1})
		c := ts.dial()
		c.send(get("/hijack"))
		if r := c.want(200, ""); r.Close {
			t.Fatal("the response announces the close")
		}
		c.wantLine("/hijack v " + c.LocalAddr().String() + "\n")
	})
}

func TestKeepHijackedConns(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for _, keep := range []bool{true, false} {
			kept := make(chan net.Conn, 1)
			ts := serve(t, m, &fasthttp.Server{KeepHijackedConns: keep, Handler: func(ctx *fasthttp.RequestCtx) {
				ctx.Hijack(func(c net.Conn) { kept <- c })
			}})
			c := ts.dial()
			c.send(get("/") + "\x00\n")
			c.want(200, "")
			nc := <-kept
			if !keep {
				c.wantEOF()
				continue
			}
			if line, err := bufio.NewReader(nc).ReadString('\n'); line != "\x00\n" {
				t.Fatalf("read %q, %v", line, err)
			}
			io.WriteString(nc, "still here\n")
			c.wantLine("still here\n")
			nc.Close()
			c.wantEOF()
		}
	})
}

func TestHijackDuringShutdown(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		begun, release := make(chan struct{}), make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			close(begun)
			<-release
			ctx.Hijack(echoLines)
		}})
		c := ts.dial()
		c.send(get("/"))
		<-begun
		done := ts.beginShutdown()
		close(release)
		c.want(200, "")
		c.send("x\n")
		c.wantLine("echo x\n")
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}
