//go:build linux

package httpcore

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// sameCases are handlers that use fasthttp's API, each with a request. What they
// answer must be what fasthttp's own server answers.
var sameCases = []struct {
	name    string
	request string
	handler fasthttp.RequestHandler
}{
	{"what a request says", request("PUT", "/p%20q/x?a=1&b=2&a=3", "body", "User-Agent: t", "Referer: http://r/", "Cookie: k=v; l=w", "X-y: z"), func(ctx *fasthttp.RequestCtx) {
		fmt.Fprintf(ctx, "%s %s %s %s %s %s %s %q %v %v|", ctx.Method(), ctx.RequestURI(), ctx.Path(), ctx.Host(), ctx.UserAgent(), ctx.Referer(), ctx.URI(), ctx.PostBody(), ctx.QueryArgs(), ctx.Request.Header.Cookie("l"))
		fmt.Fprint(ctx, ctx.IsGet(), ctx.IsPut(), ctx.IsPost(), ctx.IsHead(), ctx.IsDelete(), ctx.IsConnect(), ctx.IsOptions(), ctx.IsTrace(), ctx.IsPatch(), ctx.IsQuery(), ctx.IsTLS(), ctx.IsBodyStream(), ctx.TLSConnectionState() == nil, ctx.ConnRequestNum(), ctx.Hijacked())
		for k, v := range ctx.Request.Header.All() {
			fmt.Fprintf(ctx, "|%s=%s", k, v)
		}
	}},
	{"addresses and times", get("/"), func(ctx *fasthttp.RequestCtx) {
		fmt.Fprint(ctx, ctx.RemoteAddr().Network(), ctx.RemoteIP(), ctx.LocalIP(), ctx.LocalAddr().String() != "", ctx.Conn() != nil,
			time.Since(ctx.Time()) < time.Minute, ctx.ID() > 0, ctx.ConnID() > 0, strings.HasPrefix(ctx.String(), "#"))
		ctx.SetRemoteAddr(&net.TCPAddr{IP: net.IPv4(1, 2, 3, 4), Port: 5})
		fmt.Fprint(ctx, ctx.RemoteAddr(), ctx.RemoteIP())
	}},
	{"the context", get("/"), func(ctx *fasthttp.RequestCtx) {
		deadline, ok := ctx.Deadline()
		ctx.SetUserValue("k", 1)
		ctx.SetUserValueBytes([]byte("b"), 2)
		fmt.Fprint(ctx, deadline.IsZero(), ok, ctx.Err(), ctx.Value("k"), ctx.UserValue("k"), ctx.UserValueBytes([]byte("b")))
		ctx.RemoveUserValue("k")
		ctx.RemoveUserValueBytes([]byte("b"))
		ctx.VisitUserValues(func([]byte, any) { ctx.WriteString("!") })
		ctx.VisitUserValuesAll(func(any, any) { ctx.WriteString("!") })
		ctx.ResetUserValues()
		select {
		case <-ctx.Done():
			ctx.WriteString("done")
		default:
			ctx.WriteString("goes on")
		}
	}},
	{"a form", request("POST", "/?q=1", "a=b&c=d", "Content-Type: application/x-www-form-urlencoded"), func(ctx *fasthttp.RequestCtx) {
		fmt.Fprintf(ctx, "%s %s %v %s", ctx.FormValue("a"), ctx.FormValue("q"), ctx.PostArgs(), ctx.FormValue("none"))
	}},
	{"a form with a file", request("POST", "/", "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"n\"\r\n\r\ncontent\r\n--x--\r\n", "Content-Type: multipart/form-data; boundary=x"), func(ctx *fasthttp.RequestCtx) {
		fh, err := ctx.FormFile("f")
		if err != nil {
			ctx.Error(err.Error(), 500)
			return
		}
		form, err := ctx.MultipartForm()
		fmt.Fprint(ctx, fh.Filename, fh.Size, len(form.File), err)
		_, err = ctx.MultipartFormWithLimit(1)
		fmt.Fprint(ctx, err)
	}},
	{"status, type, body", get("/"), func(ctx *fasthttp.RequestCtx) {
		ctx.SetStatusCode(418)
		ctx.SetContentType("text/x")
		ctx.SetContentTypeBytes([]byte("text/y"))
		ctx.SetBody([]byte("a"))
		ctx.ResetBody()
		ctx.SetBodyString("b")
		ctx.Write([]byte("c"))
		ctx.WriteString("d")
		ctx.Response.Header.Set("x-name", "v")
		ctx.Response.Header.Add("X-Name", "w")
		c := fasthttp.AcquireCookie()
		c.SetKey("k")
		c.SetValue("v")
		ctx.Response.Header.SetCookie(c)
		fasthttp.ReleaseCookie(c)
	}},
	{"success", get("/"), func(ctx *fasthttp.RequestCtx) { ctx.Success("text/s", []byte("s")) }},
	{"success string", get("/"), func(ctx *fasthttp.RequestCtx) { ctx.SuccessString("text/s", "s") }},
	{"error", get("/"), func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("lost"); ctx.Error("no", 404) }},
	{"not found", get("/"), func(ctx *fasthttp.RequestCtx) { ctx.NotFound() }},
	{"not modified", get("/"), func(ctx *fasthttp.RequestCtx) { ctx.NotModified() }},
	{"modified since", get("/", "If-Modified-Since: Sun, 22 Nov 2026 00:00:00 GMT"), func(ctx *fasthttp.RequestCtx) {
		fmt.Fprint(ctx, ctx.IfModifiedSince(time.Unix(0, 0)), ctx.IfModifiedSince(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)))
	}},
	{"redirect", get("/a/b"), func(ctx *fasthttp.RequestCtx) { ctx.Redirect("../c?d", 302) }},
	{"redirect bytes", get("/a/b"), func(ctx *fasthttp.RequestCtx) { ctx.RedirectBytes([]byte("http://h/x"), 308) }},
	{"a stream of known length", get("/"), func(ctx *fasthttp.RequestCtx) { ctx.SetBodyStream(strings.NewReader("stream"), 6) }},
	{"a stream", get("/"), func(ctx *fasthttp.RequestCtx) { ctx.SetBodyStream(strings.NewReader("stream"), -1) }},
	{"a stream writer", get("/"), func(ctx *fasthttp.RequestCtx) {
		ctx.SetBodyStreamWriter(func(w *bufio.Writer) { io.WriteString(w, "written") })
	}},
	{"connection close", get("/"), func(ctx *fasthttp.RequestCtx) { ctx.SetConnectionClose() }},
	{"HEAD", request("HEAD", "/", ""), func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("not sent") }},
	{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("old") }},
	{"HTTP/1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("old") }},
	{"a timeout", get("/"), func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("x"); ctx.TimeoutError("late") }},
	{"a timeout with a code", get("/"), func(ctx *fasthttp.RequestCtx) { ctx.TimeoutErrorWithCode("late", 504) }},
	{"a timeout with a response", get("/"), func(ctx *fasthttp.RequestCtx) {
		var resp fasthttp.Response
		resp.SetStatusCode(503)
		resp.SetBodyString("mine")
		ctx.TimeoutErrorWithResponse(&resp)
		if ctx.LastTimeoutErrorResponse() == nil {
			panic("no response")
		}
	}},
	{"WithTimeout", get("/"), fasthttp.TimeoutHandler(func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString("in time") }, time.Minute, "late")},
	{"a file", get("/", "Range: bytes=8-14"), func(ctx *fasthttp.RequestCtx) { ctx.SendFile("testdata/same.txt") }},
	{"a file by bytes", get("/"), func(ctx *fasthttp.RequestCtx) { ctx.SendFileBytes([]byte("testdata/same.txt")) }},
	{"a literal file", get("/"), func(ctx *fasthttp.RequestCtx) { ctx.SendFileLiteral("testdata/same.txt") }},
	{"no file", get("/"), func(ctx *fasthttp.RequestCtx) { ctx.SendFile("testdata/none") }},
	{"compressed", get("/", "Accept-Encoding: gzip"), fasthttp.CompressHandler(func(ctx *fasthttp.RequestCtx) {
		ctx.SetContentType("text/plain")
		ctx.SetBodyString(strings.Repeat("compress ", 1000))
	})},
	{"trailers", get("/"), func(ctx *fasthttp.RequestCtx) {
		ctx.Response.Header.SetTrailer("X-T")
		ctx.SetBodyString("with a trailer")
		ctx.Response.Header.Set("X-T", "v")
	}},
}

// sameServers are configurations that change what a response looks like.
var sameServers = map[string]func(*fasthttp.Server){
	"plain": func(*fasthttp.Server) {},
	"named": func(s *fasthttp.Server) { s.Name = "named" },
	"without defaults": func(s *fasthttp.Server) {
		s.NoDefaultDate, s.NoDefaultServerHeader, s.NoDefaultContentType = true, true, true
	},
	"names not normalised":    func(s *fasthttp.Server) { s.DisableHeaderNamesNormalizing = true },
	"less memory, lazy times": func(s *fasthttp.Server) { s.ReduceMemoryUsage, s.LazyRequestTime = true, true },
	"forms not parsed":        func(s *fasthttp.Server) { s.DisablePreParseMultipartForm = true },
	"form values of their own": func(s *fasthttp.Server) {
		s.FormValueFunc = func(_ *fasthttp.RequestCtx, k string) []byte { return []byte("<" + k + ">") }
	},
	"streamed requests": func(s *fasthttp.Server) { s.StreamRequestBody = true },
	"no keep-alive":     func(s *fasthttp.Server) { s.DisableKeepalive = true },
	"small buffers, keep-alive": func(s *fasthttp.Server) {
		s.ReadBufferSize, s.WriteBufferSize, s.TCPKeepalive, s.TCPKeepalivePeriod = 1024, 512, true, time.Minute
	},
	"closing on shutdown": func(s *fasthttp.Server) {
		s.CloseOnShutdown, s.SleepWhenConcurrencyLimitsExceeded = true, time.Second
		s.MaxKeepaliveDuration = time.Second //nolint:staticcheck // it does nothing, here as there
	},
}

// sameHandler runs the case that the field Case names.
func sameHandler(ctx *fasthttp.RequestCtx) {
	var i int
	if _, err := fmt.Sscan(string(ctx.Request.Header.Peek("Case")), &i); err != nil {
		panic(err)
	}
	ctx.Request.Header.Del("Case")
	sameCases[i].handler(ctx)
}

// converse sends the case's request on a connection of its own and returns what
// came back, without what differs from moment to moment.
func converse(t *testing.T, dial func() (net.Conn, error), i int) string {
	t.Helper()
	nc, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, nc)
	defer c.Close()
	req := sameCases[i].request
	line := strings.Index(req, "\r\n") + 2
	c.send(req[:line] + fmt.Sprintf("Case: %d\r\n", i) + req[line:])
	method, _, _ := strings.Cut(req, " ")
	resp, err := c.tryResponse(method)
	if err != nil {
		return err.Error()
	}
	if resp.Header.Get("Date") != "" {
		resp.Header.Set("Date", "some day")
	}
	return fmt.Sprintf("%s %s close=%v length=%d %v trailer=%v\n%v\n%q", resp.Proto, resp.Status, resp.Close,
		resp.ContentLength, resp.TransferEncoding, resp.Trailer, resp.Header, resp.body)
}

// TestSameAsFasthttp: the same handlers under the same configuration answer the
// same as on fasthttp's own server.
func TestSameAsFasthttp(t *testing.T) {
	for name, configure := range sameServers {
		newServer := func() *fasthttp.Server {
			fs := &fasthttp.Server{Handler: sameHandler, Logger: &logBuffer{}}
			configure(fs)
			return fs
		}
		want := make([]string, len(sameCases))
		theirs := newServer()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go theirs.Serve(ln)
		for i := range sameCases {
			want[i] = converse(t, func() (net.Conn, error) { return net.Dial("tcp", ln.Addr().String()) }, i)
		}
		if err := theirs.Shutdown(); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, m mode) {
				ts := serve(t, m, newServer())
				for i, sc := range sameCases {
					got := converse(t, func() (net.Conn, error) { return net.Dial("tcp", ts.addr) }, i)
					if got != want[i] {
						t.Errorf("%s:\n got %s\nwant %s", sc.name, got, want[i])
					}
				}
			})
		})
	}
}
