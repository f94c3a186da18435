package compat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/ringcore/ringcore/httpcore"
)

// quiet is a Logger for tests.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// run serves what newServer makes, by each driver and in each mode of dispatch,
// and calls f with the server's address. Handlers that block are not run on the
// loop.
func run(t *testing.T, blocks bool, newServer func(t *testing.T) *fasthttp.Server, f func(t *testing.T, addr string)) {
	for _, driver := range []httpcore.DriverKind{httpcore.IOUring, httpcore.Epoll} {
		for _, dispatch := range []httpcore.Dispatch{httpcore.Pooled, httpcore.Inline, httpcore.Adaptive} {
			if blocks && dispatch == httpcore.Inline {
				continue
			}
			t.Run(fmt.Sprintf("%v/%v", driver, dispatch), func(t *testing.T) {
				fs := newServer(t)
				if fs.Logger == nil {
					fs.Logger = quiet{}
				}
				f(t, start(t, httpcore.New(fs, httpcore.WithDriver(driver), httpcore.WithDispatch(dispatch))))
			})
		}
	}
}

// start serves on a free port until the test ends.
func start(t *testing.T, s *httpcore.Server) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	for s.Info().Driver == "" {
		select {
		case err := <-served:
			if r := (interface{ Unwrap() error })(nil); errors.As(err, &r) && strings.Contains(err.Error(), "io_uring is not available") {
				t.Skip(err)
			}
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := s.ShutdownWithContext(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// reply is what a server answered.
type reply struct {
	*http.Response
	body string
}

var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	Timeout:       30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// do sends a request and reads the whole answer.
func do(t *testing.T, req *http.Request) reply {
	t.Helper()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s: %v", req.URL, err)
	}
	return reply{resp, string(b)}
}

// ask is do without a request to be made before it. fields are "Name: value".
func ask(t *testing.T, method, addr, path, body string, fields ...string) reply {
	t.Helper()
	u, err := url.Parse("http://" + addr + path)
	if err != nil {
		t.Fatal(err)
	}
	req := &http.Request{Method: method, URL: u, Header: http.Header{}}
	if body != "" {
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		req.Header.Add(name, value)
	}
	return do(t, req)
}

// want fails unless the answer has that status and body.
func (r reply) want(t *testing.T, status int, body string) reply {
	t.Helper()
	if r.StatusCode != status || r.body != body {
		t.Fatalf("%s: got %d %.300q, want %d %.300q", r.Request.URL, r.StatusCode, r.body, status, body)
	}
	return r
}

// wantEvents reads server-sent events that come one after the other: each is
// asked for by sending on next, so that one that is held back hangs the test.
func wantEvents(t *testing.T, addr, path string, next chan<- struct{}, want ...string) {
	t.Helper()
	resp, err := client.Get("http://" + addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	for _, w := range want {
		line, err := r.ReadString('\n')
		if err != nil || line != "data: "+w+"\n" {
			t.Fatalf("got %q, %v, want %q", line, err, w)
		}
		if line, err = r.ReadString('\n'); err != nil || line != "\n" {
			t.Fatalf("got %q, %v, want an empty line", line, err)
		}
		next <- struct{}{}
	}
	if b, err := io.ReadAll(r); len(b) > 0 || err != nil {
		t.Fatalf("got %q, %v, want the end", b, err)
	}
}
