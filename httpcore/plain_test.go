//go:build linux

package httpcore

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// slowCloser is a user value whose Close waits for the test.
type slowCloser struct{ begin, end chan bool }

func (c slowCloser) Close() error {
	<-c.begin
	c.end <- true
	return nil
}

// Between plain requests of one connection come handlers that do all kinds of things:
// every request is as the client sent it, and nothing of them is left for the next.
func TestNothingIsLeftOfTheRequestBefore(t *testing.T) {
	closer := slowCloser{make(chan bool), make(chan bool)}
	long := strings.Repeat("long ", 5000) // more than a response in one go may have
	tricks := []struct {
		name string
		do   func(ctx *fasthttp.RequestCtx)
		want string // the body; "": ok
	}{
		{"nothing", func(*fasthttp.RequestCtx) {}, ""},
		{"user value", func(ctx *fasthttp.RequestCtx) { ctx.SetUserValue("u", 1) }, ""},
		{"closer", func(ctx *fasthttp.RequestCtx) { ctx.SetUserValue("u", closer) }, ""},
		{"remote address", func(ctx *fasthttp.RequestCtx) { ctx.SetRemoteAddr(&net.TCPAddr{Port: 1}) }, ""},
		{"request", func(ctx *fasthttp.RequestCtx) {
			ctx.Request.Header.SetMethod("POST")
			ctx.Request.Header.Set("X-A", "changed")
			ctx.Request.Header.SetHost("changed")
			ctx.Request.SetBodyString("changed")
			ctx.URI().SetPath("/changed")
			ctx.URI().SetQueryString("a=b")
			ctx.QueryArgs().Add("c", "d")
		}, ""},
		{"in place", func(ctx *fasthttp.RequestCtx) {
			for _, b := range [][]byte{ctx.Path(), ctx.Method(), ctx.Host(), ctx.Request.Header.Peek("X-A")} {
				for i := range b {
					b[i] = 'x'
				}
			}
		}, ""},
		{"field", func(ctx *fasthttp.RequestCtx) { ctx.Response.Header.Set("X-B", "set") }, ""},
		{"cookie", func(ctx *fasthttp.RequestCtx) {
			var c fasthttp.Cookie
			c.SetKey("k")
			ctx.Response.Header.SetCookie(&c)
		}, ""},
		{"status and type", func(ctx *fasthttp.RequestCtx) {
			ctx.SetStatusCode(404)
			ctx.SetContentType("text/other")
			ctx.Response.Header.SetServer("other")
		}, ""},
		{"long body", func(ctx *fasthttp.RequestCtx) { ctx.SetBodyString(long) }, long},
		{"foreign body", func(ctx *fasthttp.RequestCtx) { ctx.Response.SetBodyRaw([]byte("raw")) }, "raw"},
		{"body stream", func(ctx *fasthttp.RequestCtx) { ctx.SetBodyStream(strings.NewReader("stream"), -1) }, "stream"},
		{"short body stream", func(ctx *fasthttp.RequestCtx) { ctx.SetBodyStream(strings.NewReader("stream"), 6) }, "stream"},
		{"flags", func(ctx *fasthttp.RequestCtx) {
			ctx.Response.ImmediateHeaderFlush = true
			ctx.HijackSetNoResponse(true)
		}, ""},
		{"suspend", func(ctx *fasthttp.RequestCtx) {
			resume := Suspend(ctx)
			go func() {
				ctx.SetBodyString("resumed")
				resume()
			}()
		}, "resumed"},
		{"resumed at once", func(ctx *fasthttp.RequestCtx) { Suspend(ctx)() }, ""},
		{"time-out", func(ctx *fasthttp.RequestCtx) { ctx.TimeoutError("late") }, "late"},
	}
	look := func(ctx *fasthttp.RequestCtx) string {
		h := &ctx.Response.Header
		return fmt.Sprintf("%s %s %s X-A=%s body=%q args=%q u=%v from=%v err=%v; %d %s %q fields=%v flush=%v",
			ctx.Method(), ctx.RequestURI(), ctx.URI().FullURI(), ctx.Request.Header.Peek("X-A"), ctx.Request.Body(), ctx.QueryArgs().String(),
			ctx.UserValue("u"), ctx.RemoteAddr(), ctx.Err(), h.StatusCode(), h.ContentType(), ctx.Response.Body(),
			len(h.PeekCookie("k")) > 0 || len(h.Peek("X-B")) > 0, ctx.Response.ImmediateHeaderFlush)
	}
	const head = "GET /p?q=1 HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n"
	run(t, func(t *testing.T, m mode) {
		var warm atomic.Bool
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			if !warm.Load() {
				return
			}
			k := int(ctx.ConnRequestNum()) - 1
			if seen, want := look(ctx), fmt.Sprintf("GET /p?q=1 http://h/p?q=1 X-A=1 body=\"\" args=\"q=1\" u=<nil> from=%v err=<nil>; "+
				"200 text/plain; charset=utf-8 \"\" fields=false flush=false", ctx.Conn().RemoteAddr()); seen != want {
				ctx.SetBodyString("request " + itoa(k) + " is " + seen + ", want " + want)
				return
			}
			ctx.SetBodyString("ok")
			if k%3 == 2 && k/3 < len(tricks) { // between plain ones
				tricks[k/3].do(ctx)
			}
		}})
		for w, c := 0, ts.dial(); w < 100; w++ { // so that the handler may run on the loop
			c.send(head)
			c.response("GET")
		}
		warm.Store(true)
		total := 3*len(tricks) + 3
		for _, together := range []int{total, 4} {
			c := ts.dial()
			for k := range total {
				if k%together == 0 {
					go c.Write([]byte(strings.Repeat(head, min(together, total-k))))
				}
				name, want := "plain", "ok"
				if k%3 == 2 && k/3 < len(tricks) {
					name = tricks[k/3].name
					if w := tricks[k/3].want; w != "" {
						want = w
					}
				}
				resp := c.response("GET")
				if resp.body != want {
					t.Fatalf("response %d (%s): %.300q", k, name, resp.body)
				}
				if name == "plain" && (resp.StatusCode != 200 || len(resp.Header) != 4 ||
					resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" || resp.Header.Get("Server") != "fasthttp") {
					t.Errorf("response %d: %d %v", k, resp.StatusCode, resp.Header)
				}
			}
			closer.begin <- true // nobody has waited for that
			<-closer.end
		}
	})
}

// What ends a connection in the middle of plain requests leaves those behind it.
func TestEndAmongPlainRequests(t *testing.T) {
	for _, end := range []struct {
		name string
		do   func(ctx *fasthttp.RequestCtx)
		want string
	}{
		{"close", func(ctx *fasthttp.RequestCtx) { ctx.SetConnectionClose() }, "ok"},
		{"panic", func(*fasthttp.RequestCtx) { panic("on purpose") }, "Internal Server Error"},
		{"hijack", func(ctx *fasthttp.RequestCtx) {
			ctx.Hijack(func(c net.Conn) {
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbye")
			})
		}, "ok"},
	} {
		t.Run(end.name, func(t *testing.T) {
			run(t, func(t *testing.T, m mode) {
				var handled atomic.Int64
				ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
					handled.Add(1)
					ctx.SetBodyString("ok")
					switch ctx.ConnRequestNum() {
					case 5:
						ctx.HijackSetNoResponse(true) // this one is not hijacked
					case 6:
						end.do(ctx)
					}
				}})
				c := ts.dial()
				c.send(strings.Repeat(get("/p"), 8))
				for k := range 6 {
					want := "ok"
					if k == 5 {
						want = end.want
					}
					if resp := c.response("GET"); resp.body != want {
						t.Fatalf("response %d is %q", k, resp.body)
					}
				}
				if end.name == "hijack" {
					if resp := c.response("GET"); resp.body != "bye" {
						t.Fatalf("the hijacker's response is %q", resp.body)
					}
				}
				c.wantEOF()
				if n := handled.Load(); n != 6 {
					t.Errorf("%d requests were handled, want 6", n)
				}
			})
		})
	}
}

// A client that has closed its side ends the context of its request, not of the
// one that has the exchange after it.
func TestContextAfterOneThatHasEnded(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		var waits atomic.Bool
		waits.Store(true)
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.SetBodyString("ok")
			if ctx.ConnRequestNum() == 3 && waits.Load() {
				<-ctx.Done()
			} else if ctx.Err() != nil {
				ctx.SetBodyString(ctx.Err().Error())
			}
		}})
		for range 2 {
			c := ts.dial()
			c.send(strings.Repeat(get("/p"), 3))
			for k := range 3 {
				if k == 2 && waits.Load() {
					c.halfClose()
				}
				if resp := c.response("GET"); resp.body != "ok" {
					t.Fatalf("response %d is %q", k, resp.body)
				}
			}
			waits.Store(false)
		}
	})
}

// A connection with a plain request now and then is not idle.
func TestPlainRequestsAreNoIdleness(t *testing.T) {
	const idle = time.Second
	runTogether(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: hello, IdleTimeout: idle})
		for {
			c, late := ts.dial(), false
			begun := time.Now()
			for last := begun; last.Sub(begun) < 3*idle/2 && !late; {
				_, err := io.WriteString(c, get("/p"))
				if err == nil {
					_, err = c.tryResponse("GET")
				}
				now := time.Now()
				if late = now.Sub(last) > idle/2; err != nil && !late {
					t.Fatalf("%v after the connection began, %v after the last request: %v", now.Sub(begun), now.Sub(last), err)
				}
				last = now
				time.Sleep(idle / 20) // between requests
			}
			if !late { // else this machine had other things to do
				return
			}
		}
	})
}
