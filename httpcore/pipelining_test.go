//go:build linux

package httpcore

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/valyala/fasthttp"
)

func TestPipelinedResponsesOfMixedSizesKeepTheirOrder(t *testing.T) {
	const n = 1000
	sizes := []int{0, 10, 3000, 100, 40 << 10, 1, 200 << 10, 17 << 10}
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			i, _ := ctx.QueryArgs().GetUint("i")
			ctx.Response.Header.Set("X-Number", itoa(i))
			ctx.Write(bigBody[:sizes[i%len(sizes)]])
		}})
		c := ts.dial()
		go func() {
			for i := range n {
				if _, err := io.WriteString(c, get("/?i="+itoa(i))); err != nil {
					return
				}
			}
		}()
		for i := range n {
			resp := c.openResponse()
			if resp.Header.Get("X-Number") != itoa(i) || resp.ContentLength != int64(sizes[i%len(sizes)]) {
				t.Fatalf("response %d is number %s with %d bytes", i, resp.Header.Get("X-Number"), resp.ContentLength)
			}
			wantPattern(t, resp.Body, int(resp.ContentLength))
		}
	})
}

func TestHandlersOfAConnectionRunOneAfterTheOther(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		var running, last atomic.Int64
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			if running.Add(1) > 1 {
				t.Error("two handlers of a connection run at once")
			}
			i, _ := ctx.QueryArgs().GetUint("i")
			if last.Swap(int64(i)) != int64(i-1) {
				t.Errorf("request %d is handled out of order", i)
			}
			running.Add(-1)
			echo(ctx)
		}})
		c := ts.dial()
		const n = 500
		var b strings.Builder
		for i := range n {
			b.WriteString(get("/?i=" + itoa(i+1)))
		}
		go io.WriteString(c, b.String())
		for i := range n {
			c.want(200, fmt.Sprintf("GET /?i=%d||", i+1))
		}
	})
}

// A finished response is not withheld because the next request is incomplete.
func TestResponseDoesNotWaitForTheNextRequest(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		for _, next := range []string{request("POST", "/2", "body"), chunked("/2", "", "bo", "dy")} {
			for _, cut := range []int{1, 20, strings.Index(next, "\r\n\r\n") + 4, len(next) - 3} {
				c := ts.dial()
				c.send(get("/1") + next[:cut])
				c.want(200, "GET /1||")
				c.send(next[cut:])
				c.want(200, "POST /2|body|")
			}
		}
	})
}

// What arrives while a handler runs is taken up when it has finished; nothing
// else wakes the loop then.
func TestRequestsThatArriveWhileAHandlerRuns(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		begun, release := make(chan struct{}), make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			if string(ctx.Path()) == "/slow" {
				begun <- struct{}{}
				<-release
			}
			echo(ctx)
		}})
		for i := range 200 {
			c := ts.dial()
			c.send(get("/slow"))
			<-begun
			body := strings.Repeat("x", i)
			c.send(request("POST", "/2", "x"+body) + get("/3"))
			if i%2 == 0 {
				c.send(get("/4"))
			}
			release <- struct{}{}
			c.want(200, "GET /slow||")
			c.want(200, "POST /2|x"+body+"|")
			c.want(200, "GET /3||")
			if i%2 == 0 {
				c.want(200, "GET /4||")
			}
			c.Close()
		}
	})
}

// Pipelined requests come one by one, each when its predecessor is about to be
// finished: whatever the order in which loop and worker see that, none is left
// lying.
func TestNoRequestIsForgotten(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		const conns, n = 8, 300
		done := make(chan error, conns)
		for range conns {
			c := ts.dial()
			go func() {
				for i := range n {
					if _, err := io.WriteString(c, request("POST", "/", "ab")); err != nil {
						return
					}
					if i%7 == 0 {
						io.WriteString(c, "") // another schedule
					}
				}
			}()
			go func() {
				for i := range n {
					if r, err := c.tryResponse("POST"); err != nil || r.body != "POST /|ab|" {
						done <- fmt.Errorf("response %d is %q, %v", i, r.body, err)
						return
					}
				}
				done <- nil
			}()
		}
		for range conns {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	})
}
