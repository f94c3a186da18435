//go:build linux

package httpcore

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestGet(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: hello})
		c := ts.dial()
		for range 3 {
			c.send("GET / HTTP/1.1\r\nHost: test\r\n\r\n")
			resp := c.response("GET")
			if resp.StatusCode != 200 || resp.body != "Hello, World!" || resp.Close {
				t.Fatalf("got %d %q, close %v", resp.StatusCode, resp.body, resp.Close)
			}
			if resp.Header.Get("Date") == "" || resp.Header.Get("Server") != "fasthttp" ||
				resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Fatalf("header is %v", resp.Header)
			}
		}
	})
}

func TestPipelining(t *testing.T) {
	const n = 1000
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			fmt.Fprintf(ctx, "%s %s", ctx.Path(), ctx.PostBody())
		}})
		c := ts.dial()
		var b strings.Builder
		for i := range n {
			if i%3 == 0 {
				fmt.Fprintf(&b, "POST /%d HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nbody!", i)
			} else {
				fmt.Fprintf(&b, "GET /%d HTTP/1.1\r\nHost: test\r\n\r\n", i)
			}
		}
		go io.WriteString(c, b.String()) // meanwhile the answers are read
		for i := range n {
			want := fmt.Sprintf("/%d ", i)
			if i%3 == 0 {
				want += "body!"
			}
			if resp := c.response("GET"); resp.body != want {
				t.Fatalf("response %d is %q, want %q", i, resp.body, want)
			}
		}
	})
}
