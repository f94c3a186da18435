//go:build linux

package httpcore

import (
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"
)

const badChunks = "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"

func TestFailuresAreLogged(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: echo})
		for range 20 { // within one second, most probably: few lines
			c := ts.dial()
			c.send(badChunks)
			c.wantRefusal(400)
		}
		log := ts.log.String()
		if n := strings.Count(log, "error when serving connection \"127.0.0.1:"); n == 0 || n == 20 {
			t.Fatalf("%d lines for 20 failures:\n%s", n, log)
		}
	})
}

func TestLogAllErrors(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for _, all := range []bool{false, true} {
			ts := serve(t, m, &fasthttp.Server{Handler: echo, LogAllErrors: all})
			c := ts.dial()
			c.send("GET / HTTP/1.1\r\nHost:") // breaks off
			c.halfClose()
			c.wantRefusal(400)
			if got := ts.log.contains("error when serving connection"); got != all {
				t.Errorf("LogAllErrors %v: logged: %v\n%s", all, got, ts.log)
			}
		}
	})
}

// fasthttp keeps the flag in four places, and asks each where it makes an error
// of what it has read.
func TestSecureErrorLogMessage(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for _, secure := range []bool{false, true} {
			ts := serve(t, m, &fasthttp.Server{SecureErrorLogMessage: secure, Handler: func(ctx *fasthttp.RequestCtx) {
				for i, f := range inside.secure {
					if got := *f.of(unsafe.Pointer(ctx)); got != secure {
						t.Errorf("place %d is %v, want %v", i, got, secure)
					}
				}
			}})
			c := ts.dial()
			for range 3 { // it survives the exchange's reuse
				c.send(get("/"))
				c.wantStatus(200)
			}
		}
	})
}

// TestWriteDeadline: a response that the client does not take by the deadline
// ends with the connection.
func TestWriteDeadline(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		body := pattern(32 << 20)
		closed := make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			if err := ctx.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				t.Error(err)
			}
			ctx.Response.SetBodyRaw(body)
		}, LogAllErrors: true})
		c := ts.dial()
		c.send(get("/"))
		go func() {
			ts.wantNoConns()
			close(closed)
		}()
		<-closed
	})
}

// TestReadDeadline: a handler that reads its body as it comes bounds that.
func TestReadDeadline(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		got := make(chan error, 1)
		ts := serve(t, m, &fasthttp.Server{StreamRequestBody: true, Handler: func(ctx *fasthttp.RequestCtx) {
			if err := ctx.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				t.Error(err)
			}
			var b [10]byte
			var err error
			for err == nil {
				_, err = ctx.RequestBodyStream().Read(b[:])
			}
			got <- err
		}})
		c := ts.dial()
		c.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nabc")
		if err := <-got; !strings.Contains(err.Error(), "in time") {
			t.Fatalf("got %v, want a timeout", err)
		}
	})
}
