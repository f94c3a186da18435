//go:build linux

package httpcore

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// mode is one way of serving; every behaviour is tested in all of them.
type mode struct {
	driver   DriverKind
	dispatch Dispatch
	tier     Tier
}

// forcedTier is the io_uring tier that RINGCORE_TEST_TIER forces on all tests
// (5.19, 6.0 or 6.1), so that they can be run on each with any later kernel.
var forcedTier = sync.OnceValue(func() Tier {
	name := os.Getenv("RINGCORE_TEST_TIER")
	if name == "" {
		return TierBest
	}
	tier, err := ParseTier(name)
	if err != nil {
		panic("RINGCORE_TEST_TIER: " + err.Error())
	}
	return tier
})

func (m mode) String() string {
	s := m.driver.String()
	if m.tier != TierBest {
		s += "-" + m.tier.String()
	}
	return s + "/" + m.dispatch.String()
}

var modes = []mode{
	{IOUring, Pooled, TierBest},
	{IOUring, Inline, TierBest},
	{Epoll, Pooled, TierBest},
	{Epoll, Inline, TierBest},
	{IOUring, Adaptive, TierBest},
	{Epoll, Adaptive, TierBest},
}

// shortModes have each driver and each way of dispatching, not all pairs.
var shortModes = []mode{
	{IOUring, Pooled, TierBest},
	{Epoll, Inline, TierBest},
	{IOUring, Adaptive, TierBest},
	{Epoll, Adaptive, TierBest},
}

// run runs f as a subtest for each mode: io_uring/pooled, epoll/inline, …
func run(t *testing.T, f func(t *testing.T, m mode)) {
	t.Helper()
	runModes(t, false, f)
}

// runTogether is run with all modes at the same time, for tests that wait for
// time-outs.
func runTogether(t *testing.T, f func(t *testing.T, m mode)) {
	t.Helper()
	runModes(t, true, f)
}

func runModes(t *testing.T, together bool, f func(t *testing.T, m mode)) {
	t.Helper()
	modes := modes
	if testing.Short() {
		modes = shortModes
	}
	for _, m := range modes {
		if forcedTier() != TierBest {
			if m.driver != IOUring {
				continue // tiers are io_uring's
			}
			m.tier = forcedTier()
		}
		t.Run(m.String(), func(t *testing.T) {
			requireDriver(t, m)
			if together {
				t.Parallel()
			}
			f(t, m)
		})
	}
}

var probeDriver = sync.OnceValue(func() error {
	s := New(&fasthttp.Server{Handler: func(*fasthttp.RequestCtx) {}}, WithDriver(IOUring), WithMaxTier(forcedTier()))
	b, err := newBackend(s)
	if err == nil {
		if tier := b.(*loopBackend).engine.Tier(); forcedTier() != TierBest && tier != forcedTier() {
			panic("the forced tier is not to be had: " + tier.String())
		}
		err = b.shutdown(context.Background())
	}
	return err
})

// requireDriver skips the tests of io_uring where it cannot be had, and need not be.
func requireDriver(t *testing.T, m mode) {
	t.Helper()
	if m.driver == IOUring {
		err := probeDriver()
		if err != nil && (forcedTier() != TierBest || os.Getenv("RINGCORE_TEST_AUTO") == "io_uring") {
			t.Fatalf("io_uring has to be had here: %v", err)
		}
		if err != nil {
			t.Skipf("io_uring cannot be had here: %v", err)
		}
	}
}

// patience bounds every wait of these tests; none depends on its length.
const patience = time.Minute

// testServer is a server that runs for the length of a test.
type testServer struct {
	*Server
	t    *testing.T
	addr string
	done chan error // what Serve returned
	log  *logBuffer
}

// serve starts a server on a free port and shuts it down when the test ends.
func serve(t *testing.T, m mode, fs *fasthttp.Server, opts ...Option) *testServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveListener(t, m, ln, fs, opts...)
}

func serveListener(t *testing.T, m mode, ln net.Listener, fs *fasthttp.Server, opts ...Option) *testServer {
	t.Helper()
	ts := &testServer{t: t, addr: ln.Addr().String(), done: make(chan error, 1), log: &logBuffer{}}
	if fs.Logger == nil {
		fs.Logger = ts.log
	}
	ready := make(chan Info, 1)
	opts = append([]Option{WithDriver(m.driver), WithDispatch(m.dispatch), WithMaxTier(m.tier),
		WithReady(func(i Info) {
			select {
			case ready <- i:
			default: // a test that serves again
			}
		})}, opts...)
	ts.Server = New(fs, opts...)
	go func() { ts.done <- ts.Serve(ln) }()
	select {
	case i := <-ready:
		if i.Driver != m.driver.String() {
			t.Fatalf("driver is %s, want %v", i.Driver, m.driver)
		}
		if m.tier != TierBest && i.Tier != m.tier.String() {
			t.Fatalf("tier is %s, want %v", i.Tier, m.tier)
		}
	case err := <-ts.done:
		t.Fatalf("Serve: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := ts.ShutdownWithContext(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return ts
}

// dial connects to the server; the connection has a deadline, so that a test
// fails rather than hangs.
func (ts *testServer) dial() *client {
	ts.t.Helper()
	c, err := net.Dial("tcp", ts.addr)
	if err != nil {
		ts.t.Fatal(err)
	}
	return newClient(ts.t, c)
}

func newClient(t *testing.T, c net.Conn) *client {
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &client{Conn: c, t: t, r: bufio.NewReader(c)}
}

// get sends one request by a client of its own and returns the response.
func (ts *testServer) get(path string) (status int, body string) {
	ts.t.Helper()
	c := ts.dial()
	defer c.Close()
	c.send("GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n")
	resp := c.response("GET")
	return resp.StatusCode, resp.body
}

// client is a raw HTTP client.
type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func (c *client) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

type response struct {
	*http.Response
	body string
}

// response reads one response to a request with the given method, by net/http.
func (c *client) response(method string) response {
	c.t.Helper()
	r, err := c.tryResponse(method)
	if err != nil {
		c.t.Fatalf("response: %v", err)
	}
	return r
}

func (c *client) tryResponse(method string) (response, error) {
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return response{}, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	return response{resp, string(body)}, err
}

// wantEOF fails unless the server closes the connection in good order.
func (c *client) wantEOF() {
	c.t.Helper()
	if b, err := io.ReadAll(c.r); err != nil || len(b) > 0 {
		c.t.Fatalf("want EOF, got %q and %v", b, err)
	}
}

func (c *client) halfClose() {
	c.t.Helper()
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
}

// reset closes the connection so that the server sees ECONNRESET.
func (c *client) reset() {
	c.Conn.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// logBuffer is a Logger for tests.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(&l.b, format+"\n", args...)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) contains(s string) bool { return strings.Contains(l.String(), s) }

// eventually waits for cond to become true; the wait is bounded, and no test
// depends on its length.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// hello is the handler of most tests.
func hello(ctx *fasthttp.RequestCtx) { ctx.WriteString("Hello, World!") }
