//go:build linux

package httpcore

import (
	"context"
	"io"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestHalfCloseAfterAWholeRequestIsAnswered(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		for _, stream := range []string{get("/1") + request("POST", "/2", "b"), get("/1") + chunked("/2", "", "b") + "\r\n"} {
			c := ts.dial()
			c.send(stream)
			c.halfClose()
			c.want(200, "GET /1||")
			c.want(200, "POST /2|b|")
			c.wantEOF()
		}
		ts.wantNoConns()
	})
}

func TestHalfCloseWithinARequestIsRefusedAtOnce(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		for _, part := range []string{"G", "GET / HTTP/1.1\r\nHo", request("POST", "/", "body")[:50], chunked("/", "", "body")[:70]} {
			for _, before := range []string{"", get("/1")} {
				c := ts.dial()
				c.send(before + part)
				c.halfClose()
				if before != "" {
					c.want(200, "GET /1||")
				}
				c.wantRefusal(400)
			}
		}
		ts.wantNoConns()
	})
}

// The rest of a request arrives, and the client's EOF, while the handler of the
// one before runs.
func TestHalfCloseWhileAHandlerRuns(t *testing.T) {
	for name, tc := range map[string]struct {
		rest string
		want int
	}{
		"whole":   {get("/2")[5:], 200},
		"partial": {get("/2")[5:20], 400},
	} {
		t.Run(name, func(t *testing.T) {
			runPooled(t, func(t *testing.T, m mode) {
				begun := make(chan struct{}, 2)
				ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
					if string(ctx.Path()) == "/1" {
						begun <- struct{}{}
						<-ctx.Done() // the EOF is seen while it runs
					}
					echo(ctx)
				}})
				c := ts.dial()
				c.send(get("/1") + get("/2")[:5])
				<-begun
				c.send(tc.rest)
				c.halfClose()
				c.want(200, "GET /1||")
				if r := c.wantStatus(tc.want); tc.want == 200 && r.body != "GET /2||" {
					t.Fatalf("got %q", r.body)
				}
				c.wantEOF()
			})
		})
	}
}

func TestCloseOfIdleConnections(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		for _, stream := range []string{"", get("/1"), get("/1") + "\r\n", "\r\n", "\r"} {
			c := ts.dial()
			c.send(stream)
			if len(stream) > 2 {
				c.want(200, "GET /1||")
			}
			c.halfClose()
			c.wantEOF() // silently
			c.Close()
		}
		ts.wantNoConns()
	})
}

func TestResetInTheMiddleOfARequest(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		for _, part := range []string{"", "GET / HT", request("POST", "/", "body")[:50], get("/1")} {
			c := ts.dial()
			c.send(part)
			c.reset()
		}
		ts.wantNoConns()
		ts.wantServes("/1", "GET /1||")
	})
}

func TestResetInTheMiddleOfAResponse(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: bigResponse})
		for _, path := range []string{"/memory", "/stream", "/chunks", "/writer"} {
			c := ts.dial()
			c.send(get(path) + get(path))
			wantPattern(t, c.openResponse().Body, 100<<10)
			c.reset()
		}
		ts.wantNoConns()
		c := ts.dial()
		c.send(get("/memory"))
		wantPattern(t, c.openResponse().Body, bigSize)
	})
}

func TestHandlerLearnsThatItsClientIsGone(t *testing.T) {
	for name, leave := range map[string]func(*client){
		"close": func(c *client) { c.Close() },
		"reset": (*client).reset,
	} {
		t.Run(name, func(t *testing.T) {
			runPooled(t, func(t *testing.T, m mode) {
				begun, errs := make(chan struct{}), make(chan error)
				ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
					if string(ctx.Path()) == "/wait" {
						close(begun)
						<-ctx.Done()
						errs <- ctx.Err()
					} else if ctx.Err() != nil {
						t.Errorf("%s begins with %v", ctx.Path(), ctx.Err())
					}
					echo(ctx)
				}})
				c := ts.dial()
				c.send(get("/wait"))
				<-begun
				leave(c)
				if err := <-errs; err != context.Canceled {
					t.Fatalf("ctx.Err() is %v", err)
				}
				ts.wantNoConns()
				for range 10 { // used exchanges begin anew
					ts.wantServes("/1", "GET /1||")
				}
			})
		})
	}
}

// Requests that wait behind one whose client has gone are not handled.
func TestPipelinedRequestsOfAGoneClientAreDropped(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		begun, release := make(chan struct{}), make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			switch string(ctx.Path()) {
			case "/wait":
				close(begun)
				<-release
			case "/never":
				t.Error("a request of a gone client is handled")
			}
			echo(ctx)
		}})
		c := ts.dial()
		c.send(get("/wait") + get("/never"))
		<-begun
		c.reset()
		ts.wantNoConns()
		close(release)
		ts.wantServes("/1", "GET /1||")
	})
}

func TestUnreadResponseAndThenClose(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		c := ts.dial()
		for range 10 {
			c.send(get("/1"))
		}
		c.halfClose()
		b, err := io.ReadAll(c)
		if err != nil || len(b) == 0 {
			t.Fatalf("%d bytes, %v", len(b), err)
		}
		ts.wantNoConns()
	})
}
