//go:build linux

package httpcore

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

func TestHeaderTimeout(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo}, WithHeaderTimeout(50*time.Millisecond))
		c := ts.dial()
		c.send(get("/1") + "GET / HTTP/1.1\r\nHo")
		c.want(200, "GET /1||")
		c.wantRefusal(408)
	})
}

func TestDribblingDoesNotExtendTheDeadline(t *testing.T) {
	for name, tc := range map[string]struct {
		readTimeout time.Duration
		head        string
	}{
		"head": {head: "GET / HTTP/1.1\r\nHost: test\r\nX: "},
		"body": {readTimeout: 200 * time.Millisecond, head: "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			runTogether(t, func(t *testing.T, m mode) {
				ts := serve(t, m, &fasthttp.Server{Handler: echo, ReadTimeout: tc.readTimeout}, WithHeaderTimeout(200*time.Millisecond))
				c := ts.dial()
				c.send(tc.head)
				go func() { // until the server has closed
					for {
						if _, err := io.WriteString(c, "x"); err != nil {
							return
						}
						time.Sleep(10 * time.Millisecond)
					}
				}()
				if r := c.response("GET"); r.StatusCode != 408 {
					t.Fatalf("got %d, want 408", r.StatusCode)
				}
			})
		})
	}
}

func TestBodyTimeout(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo, ReadTimeout: 50 * time.Millisecond})
		c := ts.dial()
		c.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nabc")
		c.wantRefusal(408)
	})
}

func TestIdleTimeoutClosesSilently(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for name, fs := range map[string]*fasthttp.Server{
			"IdleTimeout": {Handler: echo, IdleTimeout: 50 * time.Millisecond},
			"ReadTimeout": {Handler: echo, ReadTimeout: 50 * time.Millisecond},
		} {
			t.Run(name, func(t *testing.T) {
				ts := serve(t, m, fs)
				c := ts.dial()
				c.t = t
				c.send(get("/1"))
				c.want(200, "GET /1||")
				c.wantEOF()
				if name == "ReadTimeout" { // it also counts from the opening, as with fasthttp
					c := ts.dial()
					c.t = t
					c.wantEOF()
				}
			})
		}
	})
}

// A client that has sent its second request in time is not blamed for the time
// that the first one takes.
func TestHeaderTimeoutDoesNotCountTheHandler(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		begun, release := make(chan struct{}, 2), make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			begun <- struct{}{}
			<-release
			echo(ctx)
		}}, WithHeaderTimeout(50*time.Millisecond))
		c := ts.dial()
		second := get("/2")
		c.send(get("/1") + second[:20])
		<-begun
		c.send(second[20:])
		time.Sleep(150 * time.Millisecond) // three times the timeout: it is not to strike
		close(release)
		c.want(200, "GET /1||")
		c.want(200, "GET /2||")
	})
}

func TestWriteTimeoutCutsAStuckReader(t *testing.T) {
	for _, path := range []string{"/memory", "/stream", "/chunks"} {
		t.Run(path[1:], func(t *testing.T) {
			runTogether(t, func(t *testing.T, m mode) {
				ts := serve(t, m, &fasthttp.Server{WriteTimeout: 100 * time.Millisecond, Handler: bigResponse})
				c := ts.dial()
				c.send(get(path))
				if _, err := c.r.Peek(1); err != nil {
					t.Fatal(err)
				}
				ts.wantNoConns()
				n, err := io.Copy(io.Discard, c.r)
				if n >= bigSize {
					t.Fatalf("all %d bytes came, %v", n, err)
				}
			})
		})
	}
}

// A stream that says nothing for longer than WriteTimeout is no stuck reader.
func TestWriteTimeoutSparesASlowStream(t *testing.T) {
	runTogether(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{WriteTimeout: 50 * time.Millisecond, Handler: func(ctx *fasthttp.RequestCtx) {
			r, w := io.Pipe()
			go func() {
				for range 3 {
					time.Sleep(100 * time.Millisecond)
					io.WriteString(w, "tick")
				}
				w.Close()
			}()
			ctx.Response.ImmediateHeaderFlush = true
			ctx.SetBodyStream(r, -1)
		}})
		c := ts.dial()
		c.send(get("/"))
		c.want(200, "tickticktick")
	})
}

func TestConcurrencyLimitAnswers503(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo, Concurrency: 2})
		a, b := ts.dial(), ts.dial()
		for _, c := range []*client{a, b, a} {
			c.send(get("/"))
			c.want(200, "GET /||")
		}
		rejected := ts.dial()
		if r := rejected.response("GET"); r.StatusCode != 503 || !r.Close {
			t.Fatalf("got %d, close %v", r.StatusCode, r.Close)
		}
		eventually(t, "the log tells", func() bool { return ts.log.contains("Concurrency") })
		a.Close()
		// The rejected connection still lingers; it takes no place.
		eventually(t, "there is room again", func() bool {
			c := ts.dial()
			defer c.Close()
			io.WriteString(c, get("/"))
			r, err := c.tryResponse("GET")
			return err == nil && r.StatusCode == 200
		})
	})
}

func TestMaxRequestsPerConn(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo, MaxRequestsPerConn: 2})
		c := ts.dial()
		c.send(get("/1") + get("/2") + get("/3"))
		if r := c.want(200, "GET /1||"); r.Close {
			t.Fatal("the first response announces the close")
		}
		if r := c.want(200, "GET /2||"); !r.Close {
			t.Fatal("the last response does not announce the close")
		}
		c.wantEOF()
	})
}

func TestDisableKeepalive(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo, DisableKeepalive: true})
		c := ts.dial()
		c.send(get("/1"))
		if r := c.want(200, "GET /1||"); !r.Close {
			t.Fatal("the response does not announce the close")
		}
		c.wantEOF()
	})
}

func TestGetOnly(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo, GetOnly: true})
		c := ts.dial()
		c.send(get("/1"))
		c.want(200, "GET /1||")
		c.send("HEAD /1 HTTP/1.1\r\nHost: test\r\n\r\n")
		if r := c.response("HEAD"); r.StatusCode != 200 {
			t.Fatalf("HEAD is %d", r.StatusCode)
		}
		c.send(request("POST", "/1", "abc"))
		c.wantRefusal(400)
	})
}

func TestErrorHandlerGetsTheError(t *testing.T) {
	runTogether(t, func(t *testing.T, m mode) {
		var mu sync.Mutex
		var got error
		var from net.Addr
		ts := serve(t, m, &fasthttp.Server{
			Handler: echo, MaxRequestBodySize: 10, ReadTimeout: 200 * time.Millisecond,
			ErrorHandler: func(ctx *fasthttp.RequestCtx, err error) {
				mu.Lock()
				got, from = err, ctx.RemoteAddr()
				mu.Unlock()
				ctx.Error("mine", 499)
			},
		})
		for _, tc := range []struct {
			send string
			want error
		}{
			{"\x00", errNotARequest},
			{get("/ ", "Host: a"), errRequestLine},
			{"GET / HTTP/1.1\r\nHost: " + strings.Repeat("x", 17<<10), smallBuffer},
			{request("POST", "/", "12345678901"), fasthttp.ErrBodyTooLarge},
			{chunked("/", "", "12345678901"), fasthttp.ErrBodyTooLarge},
			{"GET / HTTP/1.1\r\n", os.ErrDeadlineExceeded},
			{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", os.ErrDeadlineExceeded},
			{request("POST", "/", "x", "Expect: miracles"), errExpectation},
		} {
			c := ts.dial()
			c.send(tc.send)
			if r := c.wantStatus(499); r.body != "mine" {
				t.Fatalf("body is %q", r.body)
			}
			c.wantEOF()
			mu.Lock()
			if !errors.Is(got, tc.want) {
				t.Errorf("%.40q: error is %v, want %v", tc.send, got, tc.want)
			}
			if from.String() != c.LocalAddr().String() {
				t.Errorf("%.40q: RemoteAddr is %v, want %v", tc.send, from, c.LocalAddr())
			}
			mu.Unlock()
		}
	})
}
