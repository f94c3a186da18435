//go:build linux

package conn

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// run runs f as a subtest on each driver.
func run(t *testing.T, f func(t *testing.T, kind DriverKind)) {
	t.Helper()
	for _, kind := range []DriverKind{IOUring, Epoll} {
		if kind == Epoll && forcedTier() != TierBest {
			continue // tiers are io_uring's
		}
		t.Run(kind.String(), func(t *testing.T) {
			requireDriver(t, kind)
			f(t, kind)
		})
	}
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

var probeUring = sync.OnceValue(func() error {
	c, err := chooseDriver(&Options{Driver: IOUring, MaxTier: forcedTier()})
	if err == nil && forcedTier() != TierBest && c.tier != forcedTier() {
		panic("the forced tier is not to be had: " + c.tier.String())
	}
	return err
})

func requireDriver(t testing.TB, kind DriverKind) {
	t.Helper()
	if kind == IOUring {
		err := probeUring()
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

// testEngine is an engine with a TCP listener that runs for a test's length.
type testEngine struct {
	*Engine
	t    testing.TB
	addr string
}

// serve starts an engine whose loops all have the handler h.
func serve(t testing.TB, kind DriverKind, h Handler, o Options) *testEngine {
	t.Helper()
	return serveEach(t, kind, func(*Loop) Handler { return h }, o)
}

// serveEach starts an engine and ends it with the test, by force if need be:
// a test that cares ends it itself.
func serveEach(t testing.TB, kind DriverKind, h func(*Loop) Handler, o Options) *testEngine {
	t.Helper()
	o.Driver, o.Handler = kind, h
	if o.MaxTier == TierBest {
		o.MaxTier = forcedTier()
	}
	e, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	if k, _ := e.Driver(); k != kind {
		t.Fatalf("the driver is %v, want %v", k, kind)
	}
	te := &testEngine{Engine: e, t: t}
	t.Cleanup(func() {
		te.stop()
		te.checkEmpty()
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	te.addr = ln.Addr().String()
	if err := e.Listen(ln); err != nil {
		t.Fatal(err)
	}
	return te
}

// stop shuts the engine down and cuts off what is left.
func (e *testEngine) stop() {
	e.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, errDriver) {
		e.t.Errorf("shutdown: %v", err)
	}
}

// dial connects; the connection has a deadline, so that a test fails rather
// than hangs.
func (e *testEngine) dial() *net.TCPConn {
	e.t.Helper()
	nc, err := net.Dial("tcp", e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		e.t.Fatal(err)
	}
	return nc.(*net.TCPConn)
}

// do runs f on the engine's first loop and waits for it.
func (e *testEngine) do(f func(l *Loop)) {
	e.t.Helper()
	done := make(chan struct{})
	e.loops[0].Post(&Task{Run: func(l *Loop) {
		f(l)
		close(done)
	}})
	wait(e.t, "a task on the loop", done)
}

// wait waits for a channel to be closed or to bring something.
func wait[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// eventually waits for cond.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !cond(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func write(t testing.TB, w io.Writer, p []byte) {
	t.Helper()
	if _, err := w.Write(p); err != nil {
		t.Fatalf("write: %v", err)
	}
}

// wantRead fails unless the next bytes from r are want.
func wantRead(t testing.TB, r io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil {
		t.Fatalf("read %d of %d bytes: %v", n, len(want), err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("the %d bytes read are not those that were due", len(got))
	}
}

func wantEOF(t testing.TB, r io.Reader) {
	t.Helper()
	if b, err := io.ReadAll(r); err != nil || len(b) > 0 {
		t.Fatalf("want EOF, got %d bytes and %v", len(b), err)
	}
}

func closeWrite(t testing.TB, nc *net.TCPConn) {
	t.Helper()
	if err := nc.CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

// reset closes nc so that the server sees ECONNRESET.
func reset(nc *net.TCPConn) {
	_ = nc.SetLinger(0)
	_ = nc.Close()
}

// pattern returns n bytes that tell where they belong.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return p
}

// openSockets counts the sockets of this process.
func openSockets(t testing.TB) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, name := range names {
		if target, err := os.Readlink("/proc/self/fd/" + name.Name()); err == nil && strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n
}

// echo is the echo server of most tests.
func echo() *script {
	h := &script{}
	h.data = func(c *Conn, p []byte) int { return c.Write(p) }
	h.drained = func(c *Conn) {
		c.Redeliver()
		if c.EOFSeen() && c.Unconsumed() == 0 {
			c.Close()
		}
	}
	h.eof = func(c *Conn) {
		if c.Unconsumed() == 0 {
			c.Close()
		}
	}
	return h
}
