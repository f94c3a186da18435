//go:build linux

package httpcore

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

const expecting = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nExpect: 100-continue\r\n"

func TestExpectHandler(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for _, stream := range []bool{false, true} {
			ts := serve(t, m, &fasthttp.Server{Handler: echo, StreamRequestBody: stream, ExpectHandler: func(ctx *fasthttp.RequestCtx) int {
				if ctx.RemoteAddr().(*net.TCPAddr).IP.IsLoopback() && string(ctx.Request.Header.Peek("X-Token")) == "yes" {
					return fasthttp.StatusContinue
				}
				return fasthttp.StatusForbidden
			}})
			c := ts.dial()
			c.send(expecting + "X-Token: yes\r\n\r\n")
			if line, err := c.r.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
				t.Fatalf("got %q, %v", line, err)
			}
			c.r.ReadString('\n')
			c.send("hello")
			c.want(200, "POST /|hello|")
			c.send(expecting + "\r\n")
			if r := c.response("POST"); r.StatusCode != 403 || !r.Close {
				t.Fatalf("got %d, close %v", r.StatusCode, r.Close)
			}
			c.wantEOF()
		}
	})
}

func TestContinueHandler(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo, ContinueHandler: func(h *fasthttp.RequestHeader) bool {
			return len(h.Peek("X-Token")) > 0
		}})
		c := ts.dial()
		c.send(expecting + "X-Token: yes\r\n\r\n")
		c.r.ReadString('\n')
		c.r.ReadString('\n')
		c.send("hello")
		if r := c.response("POST"); r.body != "POST /|hello|" {
			t.Fatalf("got %q", r.body)
		}
		c.send(expecting + "\r\nhello")
		if r := c.response("POST"); r.StatusCode != 417 || !r.Close {
			t.Fatalf("got %d, close %v", r.StatusCode, r.Close)
		}
	})
}

func TestHeaderReceived(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo, MaxRequestBodySize: 10, HeaderReceived: func(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
			switch string(h.RequestURI()) {
			case "/large":
				return fasthttp.RequestConfig{MaxRequestBodySize: 100}
			case "/quick":
				return fasthttp.RequestConfig{ReadTimeout: 50 * time.Millisecond}
			}
			return fasthttp.RequestConfig{}
		}})
		body := strings.Repeat("x", 50)
		post := func(path string) string {
			return "POST " + path + " HTTP/1.1\r\nHost: test\r\nContent-Length: 50\r\n\r\n"
		}
		c := ts.dial()
		c.send(post("/large") + body)
		c.want(200, "POST /large|"+body+"|")
		c.send(post("/small") + body)
		if r := c.response("POST"); r.StatusCode != 413 {
			t.Fatalf("got %d", r.StatusCode)
		}
		c = ts.dial()
		c.send("POST /quick HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhalf")
		if r := c.response("POST"); r.StatusCode != 408 {
			t.Fatalf("got %d", r.StatusCode)
		}
	})
}

func TestMultipartFormIsParsedFirst(t *testing.T) {
	const form = "--b\r\nContent-Disposition: form-data; name=\"k\"\r\n\r\nv\r\n--b--\r\n"
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) { ctx.Write(ctx.FormValue("k")) }})
		c := ts.dial()
		send := func(body string) {
			c.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: " +
				string(fasthttp.AppendUint(nil, len(body))) + "\r\n\r\n" + body)
		}
		send(form)
		c.want(200, "v")
		send("--b\r\nnonsense")
		if r := c.response("POST"); r.StatusCode != 400 {
			t.Fatalf("got %d", r.StatusCode)
		}
	})
}
