//go:build linux

package httpcore

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// chunked is a request whose body comes in the given chunks.
func chunked(path, trailer string, chunks ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n", path)
	for _, c := range chunks {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(c), c)
	}
	return b.String() + "0\r\n" + trailer + "\r\n"
}

func TestRequestBodies(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		c := ts.dial()
		for _, tc := range []struct{ send, want string }{
			{request("POST", "/", "abc"), "POST /|abc|"},
			{request("GET", "/", "abc"), "GET /|abc|"},
			{request("DELETE", "/", "abc"), "DELETE /|abc|"},
			{request("POST", "/", "", "Content-Length: 0"), "POST /||"},
			{request("POST", "/", ""), "POST /||"},
			{request("GET", "/", "", "Content-Length: 0"), "GET /||"},
			{chunked("/", "", "ab", "c"), "POST /|abc|"},
			{chunked("/", ""), "POST /||"},
			{chunked("/", "X-Sum: 7\r\n", "abc"), "POST /|abc|7"},
			{chunked("/", "X-Sum: 7\r\n"), "POST /||7"},
			{request("POST", "/", "", "X-Sum: head"), "POST /||head"},
		} {
			c.send(tc.send)
			c.want(200, tc.want)
		}
	})
}

func TestBodyLimit(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for _, tc := range []struct{ option, limit int }{{0, 4 << 20}, {1000, 1000}} {
			ts := serve(t, m, &fasthttp.Server{MaxRequestBodySize: tc.option, Handler: func(ctx *fasthttp.RequestCtx) {
				fmt.Fprintf(ctx, "%d", len(ctx.PostBody()))
			}})
			whole, half := strings.Repeat("b", tc.limit), strings.Repeat("b", tc.limit/2)
			for _, r := range []string{request("POST", "/", whole), chunked("/", "", half, half), chunked("/", "", whole)} {
				c := ts.dial()
				go io.WriteString(c, r)
				c.want(200, fmt.Sprint(tc.limit))
			}
			// Refused as soon as it is known, whatever has come of the body.
			for _, r := range []string{request("POST", "/", whole+"b")[:200], chunked("/", "", whole+"b")[:200], chunked("/", "", half, half, "b")} {
				c := ts.dial()
				go io.WriteString(c, r)
				c.wantRefusal(413)
			}
		}
	})
}

func TestBodyThatTheHandlerIgnores(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) { ctx.Write(ctx.Path()) }})
		c := ts.dial()
		for range 3 {
			c.send(request("POST", "/a", strings.Repeat("x", 100<<10)) + chunked("/b", "", "GET /evil HTTP/1.1\r\n\r\n") + get("/c"))
			c.want(200, "/a")
			c.want(200, "/b")
			c.want(200, "/c")
		}
	})
}

func TestExpectContinue(t *testing.T) {
	const head = "POST /x HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo, MaxRequestBodySize: 100})
		t.Run("body after 100", func(t *testing.T) {
			c := ts.dial()
			c.send(head)
			if r := c.response("POST"); r.StatusCode != 100 {
				t.Fatalf("got %d, want 100", r.StatusCode)
			}
			c.send("body")
			c.want(200, "POST /x|body|")
		})
		t.Run("body at once", func(t *testing.T) {
			c := ts.dial()
			c.send(head + "body" + get("/2"))
			if r := c.response("POST"); r.StatusCode != 200 || r.body != "POST /x|body|" {
				t.Fatalf("got %d %q, want 200 without 100 before it", r.StatusCode, r.body)
			}
			c.want(200, "GET /2||")
		})
		t.Run("pipelined behind a request", func(t *testing.T) {
			c := ts.dial()
			c.send(get("/1") + head)
			c.want(200, "GET /1||")
			if r := c.response("POST"); r.StatusCode != 100 {
				t.Fatalf("got %d, want 100", r.StatusCode)
			}
			c.send("body")
			c.want(200, "POST /x|body|")
		})
		t.Run("body too large", func(t *testing.T) {
			c := ts.dial()
			c.send(strings.Replace(head, ": 4", ": 101", 1))
			if r := c.response("POST"); r.StatusCode != 413 || !r.Close {
				t.Fatalf("got %d, close %v", r.StatusCode, r.Close)
			}
			c.wantEOF()
		})
		t.Run("nothing to wait for", func(t *testing.T) {
			c := ts.dial()
			c.send(get("/1", "Expect: 100-continue"))
			if r := c.response("GET"); r.StatusCode != 200 {
				t.Fatalf("got %d, want 200", r.StatusCode)
			}
		})
	})
}
