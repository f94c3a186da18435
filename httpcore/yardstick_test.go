//go:build linux

package httpcore

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"
)

// What fasthttp's own server tests ask for, and the other tests do not.

// scripted is a net.Conn that has said everything when it is opened, and takes
// what is answered. It knows neither deadlines nor half-closes.
type scripted struct {
	net.Conn
	r, w bytes.Buffer
}

func (c *scripted) Read(p []byte) (int, error)       { return c.r.Read(p) }
func (c *scripted) Write(p []byte) (int, error)      { return c.w.Write(p) }
func (c *scripted) Close() error                     { return nil }
func (c *scripted) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *scripted) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *scripted) SetDeadline(time.Time) error      { return nil }
func (c *scripted) SetReadDeadline(time.Time) error  { return nil }
func (c *scripted) SetWriteDeadline(time.Time) error { return nil }

// recite serves what a client says in one go and returns the answers.
func recite(t *testing.T, m mode, fs *fasthttp.Server, says string) (answers *bufio.Reader, err error) {
	t.Helper()
	if fs.Logger == nil {
		fs.Logger = &logBuffer{}
	}
	s := New(fs, WithDriver(m.driver), WithDispatch(m.dispatch))
	defer s.Shutdown()
	c := &scripted{}
	c.r.WriteString(says)
	err = s.ServeConn(c)
	return bufio.NewReader(&c.w), err
}

// ServeConn says why a connection ended, in fasthttp's types.
func TestServeConnReturnsTheError(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		var small *fasthttp.ErrSmallBuffer
		for _, tc := range []struct {
			name, says string
			status     int
			ok         func(error) bool
		}{
			{"a good request", get("/"), 200, func(err error) bool { return err == nil }},
			{"a large head", get("/", "X: "+strings.Repeat("x", 500)), 431, func(err error) bool { return errors.As(err, &small) }},
			{"a large body", request("POST", "/", "12345678901"), 413, func(err error) bool { return err == fasthttp.ErrBodyTooLarge }},
			{"half a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12", 400, func(err error) bool { return err == io.ErrUnexpectedEOF }},
			{"no Host", "GET / HTTP/1.1\r\n\r\n", 400, func(err error) bool { return err == errHostMissing }},
			{"POST", request("PUT", "/", ""), 400, func(err error) bool { return err == fasthttp.ErrGetOnly }},
		} {
			fs := &fasthttp.Server{Handler: hello, ReadBufferSize: 200, MaxRequestBodySize: 10, GetOnly: tc.name == "POST"}
			r, err := recite(t, m, fs, tc.says)
			if !tc.ok(err) {
				t.Errorf("%s: ServeConn returned %v", tc.name, err)
			}
			resp, rerr := http.ReadResponse(r, nil)
			if rerr != nil || resp.StatusCode != tc.status {
				t.Errorf("%s: got %v, %v", tc.name, resp, rerr)
			}
		}
	})
}

// The default error pages have fasthttp's words.
func TestErrorPagesAreFasthttps(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ts := serve(t, m, &fasthttp.Server{Handler: hello, ReadTimeout: 100 * time.Millisecond})
		for send, want := range map[string]string{
			"GET / HTTP/1.1\r\n\r\n":                                  "Error when parsing request",
			get("/", "X: "+strings.Repeat("x", 20<<10)):               "Too big request header",
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n": "Request timeout",
		} {
			c := ts.dial()
			c.send(send)
			if r := c.response("GET"); r.body != want {
				t.Errorf("%.40q: got %q, want %q", send, r.body, want)
			}
		}
	})
}

// A request whose body is decided on while its client has said everything
// already is answered.
func TestExpectFromAClientThatHasSaidEverything(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		for _, wanted := range []bool{true, false} {
			fs := &fasthttp.Server{Handler: echo, ContinueHandler: func(*fasthttp.RequestHeader) bool { return wanted }}
			r, err := recite(t, m, fs, request("POST", "/", "12345", "Expect: 100-continue"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(r, nil)
			if err == nil && resp.StatusCode == 100 {
				resp, err = http.ReadResponse(r, nil)
			}
			if want := map[bool]int{true: 200, false: 417}[wanted]; err != nil || resp.StatusCode != want {
				t.Fatalf("got %v, %v, want %d", resp, err, want)
			}
		}
	})
}

// Whoever closes a listener that is served ends Serve; its connections are
// served on.
func TestListenerClosedByItsOwner(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		ln := fasthttputil.NewInmemoryListener()
		s := New(&fasthttp.Server{Handler: echo, Logger: &logBuffer{}}, WithDriver(m.driver), WithDispatch(m.dispatch))
		done := make(chan error, 1)
		go func() { done <- s.Serve(ln) }()
		nc, err := ln.Dial()
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(nc)
		for _, path := range []string{"/1", "/2"} {
			io.WriteString(nc, get(path))
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if b, _ := io.ReadAll(resp.Body); string(b) != "GET "+path+"||" {
				t.Fatalf("got %q", b)
			}
			if path == "/1" {
				ln.Close()
				if err := <-done; err != nil {
					t.Fatalf("Serve: %v", err)
				}
			}
		}
		nc.Close()
		if err := s.Shutdown(); err != nil {
			t.Fatal(err)
		}
	})
}

// When Serve returns at the shutdown nobody can connect any more, and what a
// handler answers still arrives.
func TestShutdownInMemory(t *testing.T) {
	runPooled(t, func(t *testing.T, m mode) {
		ln := fasthttputil.NewInmemoryListener()
		begun := make(chan struct{})
		s := New(&fasthttp.Server{Logger: &logBuffer{}, Handler: func(ctx *fasthttp.RequestCtx) {
			close(begun)
			<-ctx.Done()
			ctx.WriteString("late")
		}}, WithDriver(m.driver), WithDispatch(m.dispatch))
		served, shut := make(chan error, 1), make(chan error, 1)
		go func() { served <- s.Serve(ln) }()
		nc, err := ln.Dial()
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(nc, get("/"))
		<-begun
		go func() { shut <- s.Shutdown() }()
		if err := <-served; err != nil {
			t.Fatal(err)
		}
		if _, err := ln.Dial(); err == nil {
			t.Error("the listener still listens")
		}
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(resp.Body); string(b) != "late" {
			t.Fatalf("got %q", b)
		}
		if err := <-shut; err != nil {
			t.Fatal(err)
		}
	})
}

// Timeouts and hijacks work on a net.Conn whose deadlines are not the
// runtime's.
func TestPipeConns(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		fs := &fasthttp.Server{Logger: &logBuffer{}, ReadTimeout: 100 * time.Millisecond, Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.Hijack(func(c net.Conn) { io.WriteString(c, "hijacked") })
		}}
		s := New(fs, WithDriver(m.driver), WithDispatch(m.dispatch))
		defer s.Shutdown()
		for _, send := range []string{"", "GET / HTTP/1.1\r\n", get("/")} {
			pipe := fasthttputil.NewPipeConns()
			done := make(chan error, 1)
			go func() { done <- s.ServeConn(pipe.Conn1()) }()
			c := pipe.Conn2()
			io.WriteString(c, send)
			b, err := io.ReadAll(c)
			if err != nil {
				t.Fatal(err)
			}
			err = <-done
			switch {
			case send == "" && (len(b) > 0 || err != nil):
				t.Errorf("silent: got %q, %v", b, err)
			case send == get("/") && (!bytes.HasSuffix(b, []byte("hijacked")) || err != nil):
				t.Errorf("hijacked: got %q, %v", b, err)
			case strings.HasSuffix(send, "1.1\r\n") && (!bytes.Contains(b, []byte(" 408 ")) || !errors.Is(err, os.ErrDeadlineExceeded)):
				t.Errorf("half a request: got %q, %v", b, err)
			}
		}
	})
}

// The handler sees the Server field that will be sent, and may change it.
func TestHandlerSeesTheServerField(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		fs := &fasthttp.Server{
			Name:          "configured",
			ExpectHandler: func(ctx *fasthttp.RequestCtx) int { ctx.Response.Header.SetServer("expect"); return 100 },
			Handler: func(ctx *fasthttp.RequestCtx) {
				ctx.Write(ctx.Response.Header.Server())
				if string(ctx.Path()) == "/own" {
					ctx.Response.Header.SetServer("own")
				}
			},
		}
		ts := serve(t, m, fs)
		for path, want := range map[string]string{"/": "configured", "/own": "own"} {
			c := ts.dial()
			c.send(request("POST", path, "x", "Expect: 100-continue"))
			r := c.final("POST")
			if got := r.Header["Server"]; r.body != "configured" || !slices.Equal(got, []string{want}) {
				t.Errorf("%s: the handler saw %q, the client got %q", path, r.body, got)
			}
		}
	})
}

// A user value that is closed after the request still sees both messages.
func TestUserValueSeesTheRequestWhenItIsClosed(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		saw := make(chan string, 1)
		ts := serve(t, m, &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.SetStatusCode(418)
			ctx.SetUserValue("k", closer{func() { saw <- string(ctx.Path()) + " " + itoa(ctx.Response.StatusCode()) }})
		}})
		c := ts.dial()
		for _, path := range []string{"/1", "/2"} {
			c.send(get(path))
			c.want(418, "")
			if got := <-saw; got != path+" 418" {
				t.Fatalf("got %q", got)
			}
		}
	})
}

// ConnState hears of a request when its first octet has come, so that whoever
// closes idle connections spares this one.
func TestConnStateOfHalfARequest(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		states := make(chan fasthttp.ConnState, 10)
		ts := serve(t, m, &fasthttp.Server{Handler: hello, ConnState: func(_ net.Conn, st fasthttp.ConnState) { states <- st }})
		c := ts.dial()
		for range 2 {
			for i, part := range []string{"GET / HT", "TP/1.1\r\nHost: a\r\n\r\n"} {
				c.send(part)
				if i == 0 {
					for st := range states {
						if st == fasthttp.StateActive {
							break
						}
					}
				}
			}
			c.want(200, "Hello, World!")
		}
	})
}

// A response that streams a large request body back keeps the connection.
func TestEchoOfAStreamedBodyKeepsTheConnection(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		const size = 1 << 20
		ts := serve(t, m, &fasthttp.Server{StreamRequestBody: true, Handler: func(ctx *fasthttp.RequestCtx) {
			ctx.SetBodyStream(ctx.RequestBodyStream(), size)
		}})
		c := ts.dial()
		for range 2 {
			go func() {
				io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "+itoa(size)+"\r\n\r\n")
				c.Write(pattern(size))
			}()
			r := c.openResponse()
			if r.Close {
				t.Fatal("the response announces the close")
			}
			wantPattern(t, r.Body, size)
		}
	})
}

// A client that has said everything and closed its side gets its streamed
// upload read to the end, however slowly the handler reads.
func TestStreamedBodyOfAClientThatHasClosedItsSide(t *testing.T) {
	run(t, func(t *testing.T, m mode) {
		const size = 200 << 10 // more than waits for a handler, less than the connection holds
		begin := make(chan struct{})
		ts := serve(t, m, &fasthttp.Server{StreamRequestBody: true, Handler: func(ctx *fasthttp.RequestCtx) {
			<-begin
			n, err := io.Copy(io.Discard, ctx.RequestBodyStream())
			ctx.WriteString(itoa(int(n)))
			if err != nil {
				ctx.Error(err.Error(), 500)
			}
		}})
		for _, n := range []int{size / 2, size} {
			c := ts.dial()
			c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + itoa(size) + "\r\n\r\n" + strings.Repeat("x", n))
			c.halfClose()
			var status, body = 200, itoa(size)
			if n < size {
				status, body = 500, io.ErrUnexpectedEOF.Error()
			}
			go func() { begin <- struct{}{} }()
			c.want(status, body)
		}
	})
}
