//go:build linux

package conn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// netPair returns a connection of a Dialer and its peer.
func netPair(t testing.TB, e *testEngine) (net.Conn, *net.TCPConn) {
	t.Helper()
	ln := listen(t, "tcp", "127.0.0.1:0")
	nc, err := (&Dialer{Engine: e.Engine, Timeout: patience}).Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return nc, accept(t, ln).(*net.TCPConn)
}

func TestDial(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		e := clientOnly(t, kind, Options{Loops: 2})
		d := &Dialer{Engine: e.Engine}
		path := filepath.Join(t.TempDir(), "s")
		for _, at := range [][2]string{{"tcp", "127.0.0.1:0"}, {"tcp4", "localhost:0"}, {"unix", path}} {
			ln := listen(t, at[0], at[1])
			address := ln.Addr().String()
			if at[0] == "tcp4" {
				address = fmt.Sprint("localhost:", ln.Addr().(*net.TCPAddr).Port)
			}
			nc, err := d.Dial(at[0], address)
			if err != nil {
				t.Fatal(err)
			}
			peer := accept(t, ln)
			if nc.RemoteAddr().String() != ln.Addr().String() || nc.LocalAddr().Network() != ln.Addr().Network() {
				t.Errorf("remote %v, local %v", nc.RemoteAddr(), nc.LocalAddr())
			}
			if at[0] != "unix" && nc.LocalAddr().String() != peer.RemoteAddr().String() {
				t.Errorf("local %v, want %v", nc.LocalAddr(), peer.RemoteAddr())
			}
			write(t, nc, []byte("ping"))
			wantRead(t, peer, []byte("ping"))
			write(t, peer, []byte("pong"))
			wantRead(t, nc, []byte("pong"))
			if err := nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			wantEOF(t, peer)
			if _, err := nc.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("write after CloseWrite: %v", err)
			}
			write(t, peer, []byte("more"))
			peer.Close()
			if b, err := io.ReadAll(nc); err != nil || string(b) != "more" {
				t.Errorf("read %q, %v", b, err)
			}
			if err := nc.Close(); err != nil {
				t.Error(err)
			}
			if err := nc.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the second Close: %v", err)
			}
		}
		eventually(t, "all are gone", func() bool { return e.loops[0].Outbound()+e.loops[1].Outbound() == 0 })
	})
}

func TestDialFails(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		e := clientOnly(t, kind, Options{})
		ln := listen(t, "tcp", "127.0.0.1:0")
		refused := ln.Addr().String()
		ln.Close()
		silent := deaf(t).String()
		cancelled, cancel := context.WithCancel(context.Background())
		cancel()
		soon, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		for _, test := range []struct {
			ctx              context.Context
			network, address string
			want             error
			timeout          bool
		}{
			{context.Background(), "tcp", refused, unix.ECONNREFUSED, false},
			{context.Background(), "unix", "/nonexistent/socket", unix.ENOENT, false},
			{context.Background(), "udp", refused, net.UnknownNetworkError("udp"), false},
			{context.Background(), "tcp", "nowhere", nil, false},
			{context.Background(), "tcp6", "127.0.0.1:1", nil, false},
			{cancelled, "tcp", silent, context.Canceled, false},
			{soon, "tcp", silent, context.DeadlineExceeded, true},
		} {
			nc, err := (&Dialer{Engine: e.Engine}).DialContext(test.ctx, test.network, test.address)
			if nc != nil || err == nil {
				t.Fatalf("dialled %v", test.address)
			}
			var oe *net.OpError
			if !errors.As(err, &oe) || oe.Op != "dial" || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("%s %s: %v, want %v", test.network, test.address, err, test.want)
			} else if oe.Timeout() != test.timeout {
				t.Errorf("%v: Timeout() is %v", err, oe.Timeout())
			}
		}
		d := &Dialer{Engine: e.Engine, Timeout: 20 * time.Millisecond}
		if _, err := d.Dial("tcp", silent); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a timeout: %v", err)
		}
		e.do(func(*Loop) {
			if _, err := d.Dial("tcp", silent); !errors.Is(err, errOwnLoop) {
				t.Errorf("on the loop's own goroutine: %v", err)
			}
		})
		eventually(t, "nothing is under way", func() bool { return e.loops[0].Outbound() == 0 })
		e.stop()
		if _, err := d.Dial("tcp", refused); !errors.Is(err, ErrShutdown) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// TestDialSeveral: of several addresses those that do not answer, or refuse,
// hold nobody up.
func TestDialSeveral(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		e := clientOnly(t, kind, Options{})
		d := &Dialer{Engine: e.Engine}
		ln := listen(t, "tcp", "127.0.0.1:0")
		gone := listen(t, "tcp", "127.0.0.1:0")
		gone.Close()
		nc, _, err := d.race(context.Background(), []net.Addr{gone.Addr(), deaf(t), ln.Addr(), deaf(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		peer := accept(t, ln)
		write(t, nc, []byte("x"))
		wantRead(t, peer, []byte("x"))
		eventually(t, "the others were given up", func() bool { return e.loops[0].Outbound() == 1 })
		_, addr, err := d.race(context.Background(), []net.Addr{gone.Addr(), &net.UnixAddr{Name: "/nonexistent", Net: "unix"}})
		if !errors.Is(err, unix.ECONNREFUSED) || addr != gone.Addr() {
			t.Errorf("the error is %v of %v, want the first", err, addr)
		}
	})
}

// TestNetConnDeadlines: they wake who waits, can be moved on and back, and the
// connection goes on afterwards.
func TestNetConnDeadlines(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		nc, peer := netPair(t, clientOnly(t, kind, Options{}))
		buf := make([]byte, 1)
		timedOut := func(what string, err error) {
			t.Helper()
			var ne net.Error
			if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
				t.Errorf("%s: %v, want a timeout", what, err)
			}
		}
		for _, set := range []func(time.Time) error{nc.SetReadDeadline, nc.SetDeadline} {
			for _, d := range []time.Duration{-time.Second, 0, time.Millisecond, 20 * time.Millisecond} {
				start := time.Now()
				_ = set(start.Add(d))
				_, err := nc.Read(buf)
				timedOut("read", err)
				if time.Since(start) < d {
					t.Error("too early")
				}
			}
		}
		// Moved on again and again while a Read waits, and then back.
		_ = nc.SetDeadline(time.Now().Add(patience))
		read := make(chan error)
		go func() { _, err := nc.Read(buf); read <- err }()
		for range 5 {
			_ = nc.SetReadDeadline(time.Now().Add(patience))
		}
		_ = nc.SetReadDeadline(time.Now().Add(time.Millisecond))
		timedOut("read", wait(t, "the read", read))
		_ = nc.SetReadDeadline(time.Time{})
		write(t, peer, []byte("y"))
		wantRead(t, nc, []byte("y"))

		// A Write that waits: what was taken is counted and arrives.
		p := pattern(64 << 20)
		_ = nc.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		n, err := nc.Write(p)
		timedOut("write", err)
		if n == 0 || n == len(p) {
			t.Errorf("%d bytes were written", n)
		}
		_, err = nc.Write(p[:1])
		timedOut("a write after the deadline", err)
		_ = nc.SetWriteDeadline(time.Time{})
		go func() {
			write(t, nc, p[n:n+1000])
			nc.Close()
		}()
		wantRead(t, peer, p[:n+1000])
		wantEOF(t, peer)
		if err := nc.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("SetDeadline after Close: %v", err)
		}
	})
}

// TestNetConnCloseWakes: Close, the peer's reset and the engine's end wake Read
// and Write.
func TestNetConnCloseWakes(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		for name, c := range map[string]struct {
			end  func(e *testEngine, nc net.Conn, peer *net.TCPConn)
			want []error
		}{
			"Close":   {func(_ *testEngine, nc net.Conn, _ *net.TCPConn) { nc.Close() }, []error{net.ErrClosed}},
			"reset":   {func(_ *testEngine, _ net.Conn, peer *net.TCPConn) { reset(peer) }, []error{unix.ECONNRESET, unix.EPIPE}},
			"the end": {func(e *testEngine, _ net.Conn, _ *net.TCPConn) { e.stop() }, []error{ErrShutdown}},
		} {
			t.Run(name, func(t *testing.T) {
				e := clientOnly(t, kind, Options{})
				nc, peer := netPair(t, e)
				results := make(chan error, 2)
				go func() { _, err := nc.Read(make([]byte, 1)); results <- err }()
				go func() { _, err := nc.Write(make([]byte, 64<<20)); results <- err }()
				wantRead(t, peer, make([]byte, 1000)) // the write is under way
				c.end(e, nc, peer)
				for range 2 {
					err := wait(t, "read and write", results)
					ok := false
					for _, w := range c.want {
						ok = ok || errors.Is(err, w)
					}
					if !ok {
						t.Errorf("%v, want %v", err, c.want)
					}
				}
			})
		}
	})
}

// TestNetConnBackpressure: a peer that writes to a net.Conn which nobody reads
// is slowed down, with bounded memory, and so is a Write that nobody reads.
func TestNetConnBackpressure(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		e := clientOnly(t, kind, Options{})
		nc, peer := netPair(t, e)
		p := pattern(64 << 20)
		for _, ends := range [][2]net.Conn{{peer, nc}, {nc, peer}} {
			from, to := ends[0], ends[1]
			_ = from.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
			n, err := from.Write(p)
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("wrote %d bytes, %v: want it to wait", n, err)
			}
			e.do(func(l *Loop) {
				l.forAll(func(c *Conn) {
					k := c.State.(*netConn)
					k.mu.Lock()
					in, out := k.in.n, k.out.n
					k.mu.Unlock()
					if max := netLimit + 64*4096; in > max || out > netLimit || c.Queued() > l.opts.HighWater {
						t.Errorf("%d bytes received, %d and %d to be sent", in, out, c.Queued())
					}
				})
			})
			_ = from.SetWriteDeadline(time.Now().Add(patience))
			go func() { _, _ = from.Write(p[n : n+100_000]) }()
			wantRead(t, to, p[:n+100_000])
		}
		e.do(func(l *Loop) {
			l.forAll(func(c *Conn) {
				if k := c.State.(*netConn); k.in.head != nil || k.out.head != nil {
					t.Error("buffers are held by a connection at rest")
				}
			})
		})
	})
}

// TestNetConnConcurrent: Writes of many goroutines do not mix, while others
// read and set deadlines.
func TestNetConnConcurrent(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		nc, peer := netPair(t, clientOnly(t, kind, Options{HighWater: 3000}))
		const writers, each, size = 8, 30, 10_000
		go func() { _, _ = io.Copy(peer, peer); _ = peer.CloseWrite() }()
		var wg sync.WaitGroup
		for i := range writers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for range each {
					write(t, nc, bytes.Repeat([]byte{byte(i + 1)}, size))
					_ = nc.SetDeadline(time.Now().Add(patience))
				}
			}()
		}
		go func() { wg.Wait(); _ = nc.(*netConn).CloseWrite() }()
		counts := make([]int, writers+1)
		block := make([]byte, size)
		for range writers * each {
			if _, err := io.ReadFull(nc, block); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(block, bytes.Repeat(block[:1], size)) {
				t.Fatal("writes are mixed")
			}
			counts[block[0]]++
		}
		wantEOF(t, nc)
		for i, n := range counts[1:] {
			if n != each {
				t.Errorf("writer %d: %d writes", i, n)
			}
		}
	})
}

// TestNetConnNoGoroutines: a thousand of them cost none.
func TestNetConnNoGoroutines(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		server := serve(t, kind, echo(), Options{})
		e := clientOnly(t, kind, Options{Loops: 2})
		d := &Dialer{Engine: e.Engine}
		before := runtime.NumGoroutine()
		all := make([]net.Conn, 1000)
		for i := range all {
			nc, err := d.Dial("tcp", server.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			_ = nc.SetDeadline(time.Now().Add(patience))
			write(t, nc, []byte("x"))
			wantRead(t, nc, []byte("x"))
			all[i] = nc
		}
		if after := runtime.NumGoroutine(); after > before+10 {
			t.Errorf("%d goroutines, %d before", after, before)
		}
		if a, b := e.loops[0].Outbound(), e.loops[1].Outbound(); a != b {
			t.Errorf("%d and %d on the loops", a, b)
		}
	})
}

// TestNetConnBothWays: a Write that waits does not keep Read from being served;
// with an echo at the other end each would wait for the other for ever.
func TestNetConnBothWays(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		nc, peer := netPair(t, clientOnly(t, kind, Options{}))
		go func() { _, _ = io.CopyBuffer(struct{ io.Writer }{peer}, struct{ io.Reader }{peer}, make([]byte, 1024)) }()
		p := pattern(32 << 20)
		go func() { _, _ = nc.Write(p) }()
		wantRead(t, nc, p)
	})
}

// TestSlotSize: outbound connections and half-closed ones cost the others nothing.
func TestSlotSize(t *testing.T) {
	if size := unsafe.Sizeof(Conn{}); strconv.IntSize == 64 && size > 256 {
		t.Errorf("a slot takes %d bytes, want 256 at most", size)
	}
}
