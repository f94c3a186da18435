//go:build linux

package httpcore

import (
	"bufio"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

type badReader struct{ how string }

func (r badReader) Read([]byte) (int, error) {
	switch r.how {
	case "exit":
		runtime.Goexit()
	case "error":
		return 0, io.ErrUnexpectedEOF
	}
	panic("in the stream")
}

func TestPanicIsAnswered500AndLogged(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			switch string(ctx.Path()) {
			case "/never":
				t.Error("a request behind the last one is handled")
			case "/panic":
				ctx.Response.Header.Set("X-Half", "done")
				ctx.WriteString("half")
				panic("on purpose")
			}
			echo(ctx)
		}})
		other := ts.dial()
		other.send(get("/1"))
		other.want(200, "GET /1||")
		c := ts.dial()
		c.send(get("/1") + get("/panic") + get("/never"))
		c.want(200, "GET /1||")
		if r := c.wantStatus(500); !r.Close || r.Header.Get("X-Half") != "" || strings.Contains(r.body, "half") {
			t.Fatalf("got %v %q", r.Header, r.body)
		}
		c.wantEOF()
		for _, w := range []string{"on purpose", "GET /panic", "panic_test.go"} {
			if !ts.log.contains(w) {
				t.Fatalf("%q is not in the log:\n%s", w, ts.log)
			}
		}
		other.send(get("/2"))
		other.want(200, "GET /2||")
	})
}

func TestPanicInTheErrorHandler(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo, ErrorHandler: func(*fasthttp.RequestCtx, error) { panic("on purpose") }})
		c := ts.dial()
		c.send("\x00")
		c.wantRefusal(500)
		ts.wantServes("/1", "GET /1||")
	})
}

func TestGoexitInAHandler(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			if string(ctx.Path()) == "/exit" {
				runtime.Goexit()
			}
			echo(ctx)
		}})
		for range 20 {
			c := ts.dial()
			c.send(get("/1") + get("/exit") + get("/never"))
			c.want(200, "GET /1||")
			c.wantRefusal(500)
		}
		ts.wantServes("/1", "GET /1||")
	})
}

func TestBadBodyStreams(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			how := string(ctx.QueryArgs().Peek("how"))
			switch string(ctx.Path()) {
			case "/short": // read by the worker, where there is one
				ctx.SetBodyStream(badReader{how}, 10)
			case "/long":
				ctx.SetBodyStream(io.MultiReader(strings.NewReader(strings.Repeat("x", 100<<10)), badReader{how}), 200<<10)
			case "/chunks":
				ctx.SetBodyStream(io.MultiReader(strings.NewReader(strings.Repeat("x", 100<<10)), badReader{how}), -1)
			case "/too-short":
				ctx.SetBodyStream(strings.NewReader("abc"), 10)
			default:
				echo(ctx)
			}
		}})
		for _, how := range []string{"panic", "exit", "error"} {
			for _, path := range []string{"/short", "/long", "/chunks", "/too-short"} {
				if path == "/short" && how == "exit" && m.dispatch == Pooled {
					continue // see TestGoexitInAHandler
				}
				c := ts.dial()
				c.send(get(path + "?how=" + how))
				// A body that is not whole does not look so.
				r, err := c.tryResponse("GET")
				if err == nil && r.StatusCode != 500 {
					t.Fatalf("%s %s: got %d with %d bytes, as if it were all", path, how, r.StatusCode, len(r.body))
				}
				c.Close()
			}
		}
		ts.wantServes("/1", "GET /1||")
	})
}

func TestPanicInAHijackHandler(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.Hijack(hijackPanics)
		}})
		c := ts.dial()
		c.send(get("/"))
		c.wantStatus(200)
		if _, err := bufio.NewReader(c).ReadByte(); err == nil {
			t.Fatal("the connection is still open")
		}
		eventually(t, "the log tells", func() bool { return ts.log.contains("on purpose") })
	})
}
