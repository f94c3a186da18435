//go:build linux

package httpcore

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func TestContextTellsTheConnection(t *testing.T) {
	type seen struct {
		connID, number, id uint64
		time, connTime     time.Time
		remote, local, ip  string
	}
	run(t, func(t *testing.T, m mode) {
		got := make(chan seen, 1)
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			got <- seen{ctx.ConnID(), ctx.ConnRequestNum(), ctx.ID(), ctx.Time(), ctx.ConnTime(),
				ctx.RemoteAddr().String(), ctx.LocalAddr().String(), ctx.RemoteIP().String()}
		}})
		ids := map[uint64]bool{}
		for range 3 {
			c := ts.dial()
			var first seen
			for n := range uint64(3) {
				before := time.Now()
				c.send(get("/"))
				c.wantStatus(200)
				s := <-got
				if n == 0 {
					first = s
					if ids[s.connID] {
						t.Fatalf("ConnID %d was used before", s.connID)
					}
					ids[s.connID] = true
				}
				if s.connID != first.connID || s.number != n+1 || s.id != s.connID<<32|s.number {
					t.Fatalf("request %d: ConnID %d (was %d), ConnRequestNum %d, ID %x", n, s.connID, first.connID, s.number, s.id)
				}
				if !s.connTime.Equal(first.connTime) || s.connTime.After(s.time) {
					t.Fatalf("ConnTime is %v (was %v), Time %v", s.connTime, first.connTime, s.time)
				}
				if s.time.Before(before.Add(-time.Second)) || s.time.After(time.Now()) {
					t.Fatalf("Time is %v, sent after %v", s.time, before)
				}
				if s.remote != c.LocalAddr().String() || s.local != ts.addr || s.ip != "127.0.0.1" {
					t.Fatalf("RemoteAddr %s, LocalAddr %s, RemoteIP %s", s.remote, s.local, s.ip)
				}
			}
		}
	})
}

func TestIPv6(t *testing.T) {
	ln, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	ln.Close()
	run(t, func(t *testing.T, m mode) {
		ln, err := net.Listen("tcp", "[::1]:0")
		if err != nil {
			t.Fatal(err)
		}
		ts := serveListener(t, m, ln, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			fmt.Fprint(ctx, ctx.RemoteAddr())
		}})
		c := ts.dial()
		c.send(get("/"))
		c.want(200, c.LocalAddr().String())
	})
}

// A port without an address is served over IPv4 and IPv6.
func TestDualStack(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ln, err := net.Listen("tcp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		ts := serveListener(t, m, ln, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			fmt.Fprint(ctx, ctx.RemoteIP())
		}})
		_, port, _ := net.SplitHostPort(ts.addr)
		for _, ip := range []string{"127.0.0.1", "::1"} {
			nc, err := net.Dial("tcp", net.JoinHostPort(ip, port))
			if err != nil && ip == "::1" {
				t.Skipf("no IPv6 here: %v", err)
			} else if err != nil {
				t.Fatal(err)
			}
			c := newClient(t, nc)
			c.send(get("/"))
			c.want(200, ip)
		}
	})
}

type closer struct{ f func() }

func (c closer) Close() error { c.f(); return nil }

func TestUserValuesAreClosedAndForgotten(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		closed, release := make(chan struct{}, 1), make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			fmt.Fprint(ctx, ctx.UserValue("k"))
			switch string(ctx.Path()) {
			case "/set":
				ctx.SetUserValue("k", closer{func() { closed <- struct{}{}; <-release }}) // it may block
			case "/panic":
				ctx.SetUserValue("k", closer{func() { panic("in Close") }})
			default:
				ctx.SetUserValue("k", "v")
			}
		}})
		defer close(release)
		c := ts.dial()
		for _, path := range []string{"/", "/", "/set", "/"} {
			c.send(get(path))
			c.want(200, "<nil>")
		}
		<-closed
		c.send(get("/panic") + get("/"))
		c.want(200, "<nil>")
		c.want(200, "<nil>")
		eventually(t, "the panic is logged", func() bool { return ts.log.contains("in Close") })
	})
}

func TestEarlyHints(t *testing.T) {
	h := func(release chan struct{}) fasthttp.RequestHandler {
		return func(ctx *fasthttp.RequestCtx) {
			if string(ctx.Path()) == "/hints" {
				ctx.Response.Header.Add("Link", "</a.css>; rel=preload")
				ctx.EarlyHints()
				if release != nil {
					<-release
				}
			}
			echo(ctx)
		}
	}
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: h(nil)})
		c := ts.dial()
		for range 3 {
			c.send(get("/1") + get("/hints") + get("/2"))
			c.want(200, "GET /1||")
			if r := c.response("GET"); r.StatusCode != 103 || r.Header.Get("Link") == "" {
				t.Fatalf("got %d %v, want 103", r.StatusCode, r.Header)
			}
			if r := c.response("GET"); r.StatusCode != 200 || r.body != "GET /hints||" {
				t.Fatalf("got %d %q", r.StatusCode, r.body)
			}
			// None of it reaches another request.
			if r := c.response("GET"); r.StatusCode != 200 || r.body != "GET /2||" {
				t.Fatalf("got %d %q", r.StatusCode, r.body)
			}
		}
		c = ts.dial()
		c.send("GET /hints HTTP/1.0\r\n\r\n") // RFC 9110 section 15.2: no 1xx to HTTP/1.0
		if r := c.response("GET"); r.StatusCode != 200 {
			t.Fatalf("HTTP/1.0 gets %d", r.StatusCode)
		}
	})
	runPooled(t, func(t *testing.T, m mode) {
		release := make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{Handler: h(release)})
		c := ts.dial()
		c.send(get("/hints"))
		if r := c.response("GET"); r.StatusCode != 103 { // while the handler runs
			t.Fatalf("got %d, want 103", r.StatusCode)
		}
		close(release)
		c.want(200, "GET /hints||")
	})
}

func TestContextLogger(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) { ctx.Logger().Printf("from the %s", "handler") }})
		ts.get("/logged")
		if l := ts.log.String(); !strings.Contains(l, "from the handler") || !strings.Contains(l, "/logged") {
			t.Fatalf("the log is %q", l)
		}
	})
}

// What belongs to the loop is not the handler's to use.
func TestContextConnIsNoSocket(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		var once sync.Once
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			once.Do(func() {
				nc := ctx.Conn()
				if _, err := nc.Read(make([]byte, 1)); err == nil {
					t.Error("Read works")
				}
				if nc.Close() == nil {
					t.Error("Close works")
				}
			})
			echo(ctx)
		}})
		ts.wantServes("/1", "GET /1||")
	})
}

func TestTimeoutErrorLeavesTheHandlerRunning(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		release, ended := make(chan struct{}), make(chan string, 2)
		slow := func(ctx *fasthttp.RequestCtx) {
			<-release
			ctx.SetBodyString("too late")
			ctx.EarlyHints()
			ended <- fmt.Sprintf("%s %s", ctx.Path(), ctx.PostBody()) // still its own
		}
		handler := fasthttp.TimeoutHandler(slow, 20*time.Millisecond, "timed out")
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			switch string(ctx.Path()) {
			case "/handler":
				handler(ctx)
			case "/error":
				go slow(ctx)
				ctx.TimeoutErrorWithCode("gone on", 504)
			default:
				echo(ctx)
			}
		}})
		c := ts.dial()
		c.send(request("POST", "/handler", "one") + request("POST", "/error", "two"))
		c.want(408, "timed out")
		c.want(504, "gone on")
		for range 5 { // these must not get the contexts that are in use
			c.send(request("POST", "/x", "three"))
			c.want(200, "POST /x|three|")
		}
		close(release)
		got := map[string]bool{<-ended: true, <-ended: true}
		if !got["/handler one"] || !got["/error two"] {
			t.Fatalf("the handlers saw %v", got)
		}
		ts.wantServes("/1", "GET /1||")
	})
}

func TestTimeoutHandlerIsLimited(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		release := make(chan struct{})
		defer close(release)
		h := fasthttp.TimeoutHandler(func(*fasthttp.RequestCtx) { <-release }, time.Millisecond, "timed out")
		ts := serve(t, m, &fasthttp.Server{Handler: h, Concurrency: 3})
		c := ts.dial()
		for range 3 {
			io.WriteString(c, get("/"))
			c.want(408, "timed out")
		}
		c.send(get("/"))
		c.wantStatus(429) // as fasthttp has it: all places are taken
	})
}

// TestDoneAtShutdown: handlers that wait for their context end when the server
// shuts down, and answer.
func TestDoneAtShutdown(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		entered := make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			close(entered)
			<-ctx.Done()
			ctx.SetBodyString(ctx.Err().Error())
		}})
		c := ts.dial()
		c.send(get("/"))
		<-entered
		ended := make(chan error, 1)
		go func() { ended <- ts.Shutdown() }()
		c.want(200, "context canceled")
		c.Close()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}

func TestWithoutDisconnectCancel(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		entered, release, open := make(chan struct{}), make(chan struct{}), make(chan bool, 1)
		told := make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			close(entered)
			<-release
			open <- ctx.Err() == nil
			<-ctx.Done() // it does hear of the shutdown
			close(told)
		}}, WithoutDisconnectCancel())
		c := ts.dial()
		c.send(get("/"))
		<-entered
		c.reset()
		ts.wantNoConns()
		close(release)
		if !<-open {
			t.Fatal("the context was cancelled although the server goes on")
		}
		if err := ts.Shutdown(); err != nil {
			t.Fatal(err)
		}
		<-told
	})
}
