package compat

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/httpcore"
)

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	return nc
}

// reverseProxy is the pattern of fasthttp's documentation: the very request and
// response objects of the context go to a HostClient.
func reverseProxy(up *fasthttp.HostClient) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		req, resp := &ctx.Request, &ctx.Response
		req.Header.Del("Connection")
		req.Header.Set("X-Forwarded-For", ctx.RemoteIP().String())
		if err := up.Do(req, resp); err != nil {
			ctx.Error(err.Error(), fasthttp.StatusBadGateway)
			return
		}
		resp.Header.Del("Connection")
	}
}

func TestReverseProxy(t *testing.T) {
	for _, streams := range []bool{false, true} {
		name := map[bool]string{false: "buffered", true: "streamed"}[streams]
		t.Run(name, func(t *testing.T) {
			origin := start(t, httpcore.New(&fasthttp.Server{Logger: quiet{}, StreamRequestBody: streams, Handler: func(ctx *fasthttp.RequestCtx) {
				if string(ctx.Path()) == "/stream" {
					ctx.SetBodyStreamWriter(func(w *bufio.Writer) { io.WriteString(w, strings.Repeat("stream ", 100000)) })
					return
				}
				ctx.Write(ctx.Method())
				ctx.Write(ctx.Request.Header.Peek("X-Forwarded-For"))
				ctx.Write(ctx.Request.Body())
			}}))
			up := &fasthttp.HostClient{Addr: origin, StreamResponseBody: streams}
			newServer := func(*testing.T) *fasthttp.Server {
				return &fasthttp.Server{Handler: reverseProxy(up), StreamRequestBody: streams}
			}
			run(t, true, newServer, func(t *testing.T, addr string) {
				ask(t, "GET", addr, "/", "").want(t, 200, "GET127.0.0.1")
				body := strings.Repeat("x", 300<<10)
				ask(t, "POST", addr, "/", body).want(t, 200, "POST127.0.0.1"+body)
				ask(t, "GET", addr, "/stream", "").want(t, 200, strings.Repeat("stream ", 100000))
			})
			gone := &fasthttp.HostClient{Addr: "127.0.0.1:1"}
			run(t, true, handler(reverseProxy(gone)), func(t *testing.T, addr string) {
				if r := ask(t, "GET", addr, "/", ""); r.StatusCode != 502 {
					t.Errorf("got %d", r.StatusCode)
				}
			})
			up.CloseIdleConnections()
		})
	}
}
