//go:build linux

package httpcore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/conn"
)

// runPooled is run without the inline modes, for handlers that block.
func runPooled(t *testing.T, f func(t *testing.T, m mode)) {
	t.Helper()
	run(t, func(t *testing.T, m mode) {
		if m.dispatch == Inline {
			t.Skip("the handler blocks")
		}
		f(t, m)
	})
}

// echo tells what the handler has seen of a request.
func echo(ctx *fasthttp.RequestCtx) {
	fmt.Fprintf(ctx, "%s %s|%s|%s", ctx.Method(), ctx.RequestURI(), ctx.PostBody(), ctx.Request.Header.Peek("X-Sum"))
}

// get is a whole GET request for path, with the given field lines.
func get(path string, fields ...string) string { return request("GET", path, "", fields...) }

// request is a whole request; a body gets its Content-Length.
func request(method, path, body string, fields ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: test\r\n", method, path)
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	return b.String() + "\r\n" + body
}

// final reads the final response, after any informational ones.
func (c *client) final(method string) response {
	c.t.Helper()
	for {
		if r := c.response(method); r.StatusCode >= 200 {
			return r
		}
	}
}

// want reads a response and fails unless it has that status and body.
func (c *client) want(status int, body string) response {
	c.t.Helper()
	r := c.final("GET")
	if r.StatusCode != status || r.body != body {
		c.t.Fatalf("got %d %.200q, want %d %.200q", r.StatusCode, r.body, status, body)
	}
	return r
}

// wantStatus reads a response and fails unless it has that status.
func (c *client) wantStatus(status int) response {
	c.t.Helper()
	r := c.final("GET")
	if r.StatusCode != status {
		c.t.Fatalf("got %d %.200q, want %d", r.StatusCode, r.body, status)
	}
	return r
}

// wantRefusal reads an error response that announces the close, and the close.
func (c *client) wantRefusal(status int) {
	c.t.Helper()
	if r := c.wantStatus(status); !r.Close {
		c.t.Fatalf("response %d does not announce the close", status)
	}
	c.wantEOF()
}

// wantNothing fails if the server sends anything within a moment.
func (c *client) wantNothing() {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if b, err := c.r.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("got %q and %v, want nothing yet", b, err)
	}
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
}

func (ts *testServer) engine() *conn.Engine {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return ts.backend.(*loopBackend).engine
}

// onLoops runs f on each loop's goroutine and waits for it.
func (ts *testServer) onLoops(f func(*conn.Loop)) {
	loops := ts.engine().Loops()
	done := make(chan struct{}, len(loops))
	for _, l := range loops {
		l.Post(&conn.Task{Run: func(l *conn.Loop) { f(l); done <- struct{}{} }})
	}
	for range loops {
		<-done
	}
}

// onProtocols runs f on each loop with its protocol.
func (ts *testServer) onProtocols(f func(*protocol)) {
	for _, p := range ts.backend.(*loopBackend).protocols {
		done := make(chan struct{})
		p.loop.Post(&conn.Task{Run: func(*conn.Loop) { f(p); close(done) }})
		<-done
	}
}

// queued is the number of bytes that wait to be sent on all connections.
func (ts *testServer) queued() (n int) {
	ts.onLoops(func(l *conn.Loop) { l.Each(func(c *conn.Conn) { n += c.Queued() }) })
	return n
}

// wantNoConns waits until no connection is left.
func (ts *testServer) wantNoConns() {
	ts.t.Helper()
	eventually(ts.t, "all connections are closed", func() bool { return ts.engine().Conns() == 0 })
}

// wantServes fails unless the server still serves.
func (ts *testServer) wantServes(path, body string) {
	ts.t.Helper()
	if status, b := ts.get(path); status != 200 || b != body {
		ts.t.Fatalf("GET %s is %d %.200q, want 200 %.200q", path, status, b, body)
	}
}

// pattern is n bytes in which a piece that is lost or doubled shows.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

// wantPattern reads n bytes of pattern and fails unless they are right.
func wantPattern(t *testing.T, r io.Reader, n int) {
	t.Helper()
	buf := make([]byte, 256<<10)
	for at := 0; at < n; {
		k, err := io.ReadFull(r, buf[:min(len(buf), n-at)])
		begin := at % (16 << 20)                                           // where it comes again
		if want := bigBody[begin : begin+k]; !bytes.Equal(buf[:k], want) { // a loop takes long with -race
			for i, b := range buf[:k] {
				if b != want[i] {
					t.Fatalf("byte %d of %d is wrong", at+i, n)
				}
			}
		}
		at += k
		if err != nil {
			t.Fatalf("after %d of %d bytes: %v", at, n, err)
		}
	}
}

// openResponse reads a response's head; its body is the caller's to read.
func (c *client) openResponse() *http.Response {
	c.t.Helper()
	r, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

func itoa(n int) string { return strconv.Itoa(n) }

// beginShutdown shuts the server down and returns when it drains; what Shutdown
// returns follows.
func (ts *testServer) beginShutdown() <-chan error {
	ts.t.Helper()
	engine, done := ts.engine(), make(chan error, 1) // the server forgets the engine
	go func() { done <- ts.Shutdown() }()
	eventually(ts.t, "the loop drains", func() bool { return draining(engine) })
	return done
}

// draining reports whether the engine's first loop has begun to shut down.
func draining(e *conn.Engine) bool {
	got := make(chan bool, 1)
	e.Loops()[0].Post(&conn.Task{Run: func(l *conn.Loop) { got <- l.Draining() }})
	return <-got
}
