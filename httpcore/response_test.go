//go:build linux

package httpcore

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func TestResponsesWithoutBody(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			switch string(ctx.Path()) {
			case "/204":
				ctx.SetStatusCode(204)
			case "/304":
				ctx.SetStatusCode(304)
			case "/stream":
				ctx.SetBodyStream(strings.NewReader("a body"), 6)
				return
			case "/chunks":
				ctx.SetBodyStream(strings.NewReader("a body"), -1)
				return
			case "/204-chunks":
				ctx.SetStatusCode(204)
				ctx.SetBodyStream(strings.NewReader("a body"), -1)
				return
			case "/empty":
				return
			}
			ctx.SetBodyString("a body")
		}})
		c := ts.dial()
		for range 2 {
			for _, tc := range []struct {
				method, path string
				status       int
				length       string
			}{
				{"HEAD", "/", 200, "6"},
				{"HEAD", "/empty", 200, ""},
				{"GET", "/empty", 200, "0"},
				{"HEAD", "/stream", 200, "6"},
				{"HEAD", "/chunks", 200, ""},
				{"GET", "/204", 204, ""},
				{"HEAD", "/204", 204, ""},
				{"GET", "/204-chunks", 204, ""},
				{"GET", "/304", 304, "any"},
			} {
				c.send(request(tc.method, tc.path, ""))
				r := c.response(tc.method)
				if r.StatusCode != tc.status || r.body != "" {
					t.Fatalf("%s %s: got %d %q", tc.method, tc.path, r.StatusCode, r.body)
				}
				if l := r.Header.Get("Content-Length"); l != tc.length && tc.length != "any" {
					t.Fatalf("%s %s: Content-Length is %q, want %q", tc.method, tc.path, l, tc.length)
				}
				if tc.status == 204 && len(r.TransferEncoding) > 0 { // RFC 9112 section 6.1
					t.Fatalf("%s %s: Transfer-Encoding is %q", tc.method, tc.path, r.TransferEncoding)
				}
			}
			c.send(get("/"))
			c.want(200, "a body") // nothing of a body was left on the wire
		}
	})
}

func TestHTTP10GetsNoChunks(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			switch string(ctx.Path()) {
			case "/trailers":
				ctx.Response.Header.SetTrailer("X-Sum")
				ctx.Response.Header.Set("X-Sum", "1")
				ctx.SetBodyString("a body")
			default:
				ctx.SetBodyStream(strings.NewReader("a body"), -1)
			}
		}})
		for _, path := range []string{"/stream", "/trailers"} {
			c := ts.dial()
			c.send("GET " + path + " HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
			r := c.openResponse()
			if len(r.TransferEncoding) > 0 || (path == "/stream") != r.Close {
				t.Fatalf("%s: Transfer-Encoding is %v, close %v", path, r.TransferEncoding, r.Close)
			}
			var b bytes.Buffer
			b.ReadFrom(r.Body)
			if b.String() != "a body" {
				t.Fatalf("%s: body is %q", path, b.String())
			}
		}
	})
}

func TestResponseTrailers(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.Response.Header.SetTrailer("X-Sum")
			ctx.Response.Header.Set("X-Sum", "42")
			ctx.SetBodyString("a body")
		}})
		c := ts.dial()
		for range 2 {
			c.send(get("/"))
			if r := c.want(200, "a body"); r.Trailer.Get("X-Sum") != "42" {
				t.Fatalf("trailer is %v", r.Trailer)
			}
		}
	})
}

func TestResponseFields(t *testing.T) {
	h := func(ctx *fasthttp.RequestCtx) {
		ctx.Response.Header.Set("x-lower", string(ctx.Request.Header.Peek("x-sent")))
		ctx.SetBodyString("b")
	}
	for name, tc := range map[string]struct {
		fs         func(*fasthttp.Server)
		want, none []string
	}{
		"default":                       {func(*fasthttp.Server) {}, []string{"Server: fasthttp", "Date: ", "Content-Type: text/plain; charset=utf-8", "X-Lower: y"}, nil},
		"Name":                          {func(s *fasthttp.Server) { s.Name = "mine" }, []string{"Server: mine\r\n"}, nil},
		"Name wins":                     {func(s *fasthttp.Server) { s.Name = "mine"; s.NoDefaultServerHeader = true }, []string{"Server: mine\r\n"}, nil},
		"NoDefaultServerHeader":         {func(s *fasthttp.Server) { s.NoDefaultServerHeader = true }, []string{"Date: "}, []string{"Server:"}},
		"NoDefaultDate":                 {func(s *fasthttp.Server) { s.NoDefaultDate = true }, []string{"Server: "}, []string{"Date:"}},
		"NoDefaultContentType":          {func(s *fasthttp.Server) { s.NoDefaultContentType = true }, []string{"Server: "}, []string{"Content-Type:"}},
		"DisableHeaderNamesNormalizing": {func(s *fasthttp.Server) { s.DisableHeaderNamesNormalizing = true }, []string{"x-lower: y\r\n"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, m mode) {
				fs := &fasthttp.Server{Handler: h}
				tc.fs(fs)
				ts := serve(t, m, fs)
				c := ts.dial()
				for range 2 { // the second one in an exchange that was used
					c.send("GET / HTTP/1.1\r\nHost: test\r\nx-sent: y\r\n\r\n")
					head := c.rawHead()
					c.r.Discard(1)
					for _, w := range tc.want {
						if !strings.Contains(head, w) {
							t.Fatalf("%q is not in %q", w, head)
						}
					}
					for _, n := range tc.none {
						if strings.Contains(head, n) {
							t.Fatalf("%q is in %q", n, head)
						}
					}
				}
			})
		})
	}
}

// rawHead reads a response's head as it is on the wire.
func (c *client) rawHead() string {
	c.t.Helper()
	var b strings.Builder
	for !strings.HasSuffix(b.String(), "\r\n\r\n") {
		x, err := c.r.ReadByte()
		if err != nil {
			c.t.Fatalf("after %q: %v", b.String(), err)
		}
		b.WriteByte(x)
	}
	return b.String()
}

// What a handler puts into a field does not split the response (CWE-113).
func TestResponseSplittingIsImpossible(t *testing.T) {
	const evil = "a\r\nX-Evil: 1\r\n\r\nHTTP/1.1 200 OK\r\n\x00\x07\x7fz"
	set := map[string]func(*fasthttp.RequestCtx){
		"value":       func(ctx *fasthttp.RequestCtx) { ctx.Response.Header.Set("X-A", evil) },
		"name":        func(ctx *fasthttp.RequestCtx) { ctx.Response.Header.Set(evil, "v") },
		"canonical":   func(ctx *fasthttp.RequestCtx) { ctx.Response.Header.SetCanonical([]byte(evil), []byte(evil)) },
		"status":      func(ctx *fasthttp.RequestCtx) { ctx.Response.Header.SetStatusMessage([]byte(evil)) },
		"type":        func(ctx *fasthttp.RequestCtx) { ctx.SetContentType(evil) },
		"server":      func(ctx *fasthttp.RequestCtx) { ctx.Response.Header.SetServer(evil) },
		"redirect":    func(ctx *fasthttp.RequestCtx) { ctx.Redirect("/"+evil, 302) },
		"cookie":      func(ctx *fasthttp.RequestCtx) { setCookie(ctx, evil) },
		"long value":  func(ctx *fasthttp.RequestCtx) { ctx.Response.Header.Set("X-A", strings.Repeat(evil, 200)) },
		"early hints": func(ctx *fasthttp.RequestCtx) { ctx.Response.Header.Set("Link", evil); ctx.EarlyHints() },
	}
	run(t, func(t *testing.T, m mode) {
		for _, stream := range []bool{false, true} {
			ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
				ctx.SetBodyString("body")
				if stream {
					ctx.SetBodyStream(strings.NewReader("body"), -1)
				}
				set[string(ctx.QueryArgs().Peek("how"))](ctx)
			}})
			for how := range set {
				c := ts.dial()
				c.send(get("/?how="+strings.ReplaceAll(how, " ", "+"), "Connection: close"))
				var b bytes.Buffer
				b.ReadFrom(c)
				wire := b.String()
				if i := strings.Index(wire, "\r\nX-Evil:"); i >= 0 || strings.ContainsAny(wire, "\x00\x07\x7f") {
					t.Fatalf("%s: on the wire is %q", how, wire)
				}
				heads := strings.Count(wire, "\r\nHTTP/1.1 ")
				if how == "early hints" {
					heads--
				}
				if heads != 0 && !(stream && wire == "") {
					t.Fatalf("%s: on the wire is %q", how, wire)
				}
			}
		}
	})
}

func setCookie(ctx *fasthttp.RequestCtx, v string) {
	var c fasthttp.Cookie
	c.SetKey("k")
	c.SetValue(v)
	c.SetPath(v)
	ctx.Response.Header.SetCookie(&c)
}

func TestStaticFiles(t *testing.T) {
	dir := t.TempDir()
	small, large := pattern(5000), bigBody[:3<<20]
	for name, b := range map[string][]byte{"small": small, "large": large, "empty": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, func(t *testing.T, m mode) {
		fs := &fasthttp.FS{Root: dir, AcceptByteRange: true, CacheDuration: time.Second}
		ts := serve(t, m, &fasthttp.Server{Handler: fs.NewRequestHandler()})
		c := ts.dial()
		for range 2 {
			for name, b := range map[string][]byte{"small": small, "large": large, "empty": {}} {
				c.send(get("/" + name))
				c.want(200, string(b))
				c.send(request("HEAD", "/"+name, ""))
				if r := c.response("HEAD"); r.StatusCode != 200 || r.ContentLength != int64(len(b)) {
					t.Fatalf("HEAD %s: %d, length %d", name, r.StatusCode, r.ContentLength)
				}
			}
			for name, b := range map[string][]byte{"small": small, "large": large} {
				c.send(get("/"+name, "Range: bytes=1000-1999") + get("/"+name, "Range: bytes=-10"))
				c.want(206, string(b[1000:2000]))
				c.want(206, string(b[len(b)-10:]))
			}
			c.send(get("/none"))
			c.wantStatus(404)
		}
	})
}
