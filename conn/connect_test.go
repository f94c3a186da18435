//go:build linux

package conn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// clientOnly starts an engine that only connects.
func clientOnly(t testing.TB, kind DriverKind, o Options) *testEngine {
	t.Helper()
	o.Driver = kind
	e, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	te := &testEngine{Engine: e, t: t}
	t.Cleanup(func() {
		te.stop()
		te.checkEmpty()
	})
	return te
}

// checkEmpty: after its end an engine holds nothing.
func (e *testEngine) checkEmpty() {
	e.t.Helper()
	for _, l := range e.loops { // ended: nobody else looks at them
		if l.slots.open != 0 || l.Conns() != 0 || l.Outbound() != 0 || l.tiny.slabs != 0 || l.small.slabs != 0 || l.large.slabs != 0 {
			e.t.Errorf("loop %d ended with %d slots in use, %d connections, %d outbound, %d, %d and %d slabs",
				l.index, l.slots.open, l.Conns(), l.Outbound(), l.tiny.slabs, l.small.slabs, l.large.slabs)
		}
	}
}

// listen starts a listener for a test's length.
func listen(t testing.TB, network, address string) net.Listener {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// accept takes the next connection of ln.
func accept(t testing.TB, ln net.Listener) net.Conn {
	t.Helper()
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return nc
}

// connect connects on the first loop, and returns the error.
func (e *testEngine) connect(addr net.Addr, h *script) error {
	e.t.Helper()
	result := make(chan error, 2)
	opened := h.opened
	h.opened = func(c *Conn) {
		if opened != nil {
			opened(c)
		}
		result <- nil
	}
	e.do(func(l *Loop) {
		l.Connect(addr, h, func(err error) { result <- err })
		if len(result) > 0 {
			e.t.Error("the result came within Connect")
		}
	})
	err := wait(e.t, "the connect", result)
	if len(result) > 0 {
		e.t.Errorf("a second result: %v", <-result)
	}
	return err
}

// deaf returns the address of a listener that answers no more: its backlog is full.
func deaf(t testing.TB) net.Addr {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sa.(*unix.SockaddrInet4).Port}
	for range 16 {
		nc, err := net.DialTimeout("tcp", addr.String(), 100*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { nc.Close() })
	}
	t.Fatal("the backlog is never full")
	return nil
}

// TestConnect: over TCP of both versions and unix sockets, bytes go both ways,
// with a handler of the connection's own.
func TestConnect(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		tiers := []Tier{TierBest}
		if kind == IOUring {
			tiers = []Tier{Tier519, Tier60, Tier61}
		}
		for _, at := range [][2]string{
			{"tcp4", "127.0.0.1:0"}, {"tcp6", "[::1]:0"},
			{"unix", filepath.Join(t.TempDir(), "s")}, {"unix", fmt.Sprintf("@ringcore-test-%d", os.Getpid())},
		} {
			for _, tier := range tiers {
				t.Run(fmt.Sprint(at[0], " ", at[1][0:1], " ", tier), func(t *testing.T) {
					ln, err := net.Listen(at[0], at[1])
					if err != nil && at[0] == "tcp6" {
						t.Skip("no IPv6 here: ", err)
					}
					if err != nil {
						t.Fatal(err)
					}
					defer ln.Close()
					e := clientOnly(t, kind, Options{MaxTier: tier})
					h, closed := echo(), make(chan error, 1)
					h.closed = func(_ *Conn, err error) { closed <- err }
					nodelay := -1
					h.opened = func(c *Conn) {
						nodelay, _ = unix.GetsockoptInt(int(c.fd), unix.IPPROTO_TCP, unix.TCP_NODELAY)
						if at[0] != "unix" && c.RemoteAddr().String() != ln.Addr().String() {
							t.Errorf("the remote address is %v", c.RemoteAddr())
						}
						if !c.Outbound() {
							t.Error("it is not outbound")
						}
						c.Write([]byte("hello"))
					}
					if err := e.connect(ln.Addr(), h); err != nil {
						t.Fatal(err)
					}
					if at[0] != "unix" && nodelay != 1 {
						t.Errorf("TCP_NODELAY is %d", nodelay)
					}
					nc := accept(t, ln)
					wantRead(t, nc, []byte("hello"))
					p := pattern(300_000)
					go func() { _, _ = nc.Write(p) }()
					wantRead(t, nc, p)
					if n := e.loops[0].Outbound(); n != 1 || e.Conns() != 0 {
						t.Errorf("%d outbound connections, %d others", n, e.Conns())
					}
					nc.Close()
					if err := wait(t, "the end", closed); err != nil {
						t.Errorf("closed with %v", err)
					}
				})
			}
		}
	})
}

// TestConnectFails: each failure is told once, and says what and why.
func TestConnectFails(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		e := clientOnly(t, kind, Options{})
		ln := listen(t, "tcp", "127.0.0.1:0")
		refused := ln.Addr()
		ln.Close()
		for _, test := range []struct {
			addr net.Addr
			want error
		}{
			{refused, unix.ECONNREFUSED},
			{&net.UnixAddr{Name: filepath.Join(t.TempDir(), "none"), Net: "unix"}, unix.ENOENT},
			{&net.UnixAddr{Name: "x", Net: "unixgram"}, unix.EINVAL},
			{&net.UnixAddr{Name: strings.Repeat("x", 200), Net: "unix"}, unix.EINVAL},
			{&net.TCPAddr{Port: 70000}, unix.EINVAL},
			{&net.TCPAddr{IP: net.IP{1, 2}, Port: 7}, unix.EINVAL},
			{&net.UDPAddr{Port: 7}, unix.EAFNOSUPPORT},
			{&net.TCPAddr{IP: net.IPv4bcast, Port: 7}, unix.ENETUNREACH},
		} {
			h := &script{closed: func(*Conn, error) { t.Error("Closed of what was never opened") }}
			err := e.connect(test.addr, h)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.addr.String()) {
				t.Errorf("connect to %v: %v, want %v", test.addr, err, test.want)
			}
		}
		eventually(t, "none is left", func() bool { return e.loops[0].Outbound() == 0 })
	})
}

// TestConnectTimesOut: and is ended by Abort and by Close.
func TestConnectTimesOut(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		e := clientOnly(t, kind, Options{})
		addr := deaf(t)
		because := errors.New("because")
		for _, test := range []struct {
			end  func(c *Conn)
			want error
		}{
			{func(c *Conn) { c.SetTimeout(WriteTimer, 20*time.Millisecond) }, os.ErrDeadlineExceeded},
			{func(c *Conn) { c.Abort(because) }, because},
			{func(c *Conn) { c.Close() }, ErrClosed},
		} {
			for _, later := range []bool{false, true} {
				result := make(chan error, 1)
				var ref Ref
				e.do(func(l *Loop) {
					ref = l.Connect(addr, &script{}, func(err error) { result <- err })
					if !later {
						test.end(ref.Conn())
					}
				})
				if later {
					e.do(func(*Loop) { test.end(ref.Conn()) })
				}
				if err := wait(t, "the end", result); !errors.Is(err, test.want) {
					t.Errorf("%v, want %v", err, test.want)
				}
				e.do(func(*Loop) {
					if ref.Conn() != nil {
						t.Error("the connection is there still")
					}
				})
			}
		}
	})
}

// TestConnectBacklog: unix sockets whose listener is slow wait for it.
func TestConnectBacklog(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		e := clientOnly(t, kind, Options{})
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		path := filepath.Join(t.TempDir(), "s")
		if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
			t.Fatal(err)
		}
		if err := unix.Listen(fd, 0); err != nil {
			t.Fatal(err)
		}
		const conns = 8
		opened, failed := make(chan bool, conns), make(chan error, conns)
		h := &script{opened: func(*Conn) { opened <- true }}
		e.do(func(l *Loop) {
			for range conns {
				l.Connect(&net.UnixAddr{Name: path, Net: "unix"}, h, func(err error) { failed <- err })
			}
		})
		wait(t, "the first", opened)
		for range conns { // room for one more each time
			s, _, err := unix.Accept(fd)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(s)
		}
		for range conns - 1 {
			wait(t, "the others", opened)
		}
		if len(failed) > 0 {
			t.Error(<-failed)
		}

		// With nobody accepting, a timeout and the engine's end still end it.
		hurry := make(chan error, 9)
		for i := range cap(hurry) {
			e.do(func(l *Loop) {
				ref := l.Connect(&net.UnixAddr{Name: path, Net: "unix"}, h, func(err error) { hurry <- err })
				if i == cap(hurry)-1 {
					ref.Conn().SetTimeout(WriteTimer, 30*time.Millisecond)
				}
			})
		}
		if err := wait(t, "the timeout", hurry); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v, want a timeout", err)
		}
	})
}

// TestConnectOutOfFiles: no descriptors is an error to the caller, and harms
// nobody else.
func TestConnectOutOfFiles(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		ln := listen(t, "tcp", "127.0.0.1:0")
		e := clientOnly(t, kind, Options{})
		h := echo()
		if err := e.connect(ln.Addr(), h); err != nil {
			t.Fatal(err)
		}
		nc := accept(t, ln)
		result := make(chan error, 1)
		e.do(func(l *Loop) {
			restore := exhaustFiles(t)
			defer restore()
			l.Connect(ln.Addr(), h, func(err error) { result <- err })
		})
		if err := wait(t, "the failure", result); !errors.Is(err, unix.EMFILE) {
			t.Errorf("%v, want EMFILE", err)
		}
		write(t, nc, []byte("still here"))
		wantRead(t, nc, []byte("still here"))
	})
}

// TestConnectMany: thousands at once, each with its own bytes; then the
// engine's end, with all of them open and others connecting.
func TestConnectMany(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		const conns = 2000
		server := serve(t, kind, echo(), Options{})
		addr, err := net.ResolveTCPAddr("tcp", server.addr)
		if err != nil {
			t.Fatal(err)
		}
		e := clientOnly(t, kind, Options{Loops: 2})
		var echoed, closed atomic.Int32
		all, ended := make(chan bool), make(chan bool)
		failed := make(chan error, 2*conns)
		h := &script{}
		h.opened = func(c *Conn) {
			word := fmt.Sprint("connection ", c.Loop().Index(), c.Slot())
			c.State = word
			c.Write([]byte(word))
		}
		h.data = func(c *Conn, p []byte) int {
			if len(p) < len(c.State.(string)) {
				return 0
			}
			if string(p) != c.State.(string) {
				t.Errorf("%q came back as %q", c.State, p)
			}
			if echoed.Add(1) == conns {
				close(all)
			}
			return len(p)
		}
		h.closed = func(*Conn, error) {
			if closed.Add(1) == conns {
				close(ended)
			}
		}
		for _, l := range e.loops {
			l.Post(&Task{Run: func(l *Loop) {
				for range conns / 2 {
					l.Connect(addr, h, func(err error) { failed <- err })
				}
			}})
		}
		wait(t, "all echoes", all)
		if len(failed) > 0 {
			t.Fatal(<-failed)
		}
		// The end, with more under way, which nobody answers.
		nowhere := deaf(t)
		e.do(func(l *Loop) {
			for range 100 {
				l.Connect(nowhere, h, func(err error) { failed <- err })
			}
		})
		e.stopGently()
		wait(t, "the connections' ends", ended)
		if len(failed) != 100 {
			t.Fatalf("%d of 100 connects have failed", len(failed))
		}
		for range 100 {
			if err := <-failed; !errors.Is(err, ErrShutdown) {
				t.Fatalf("%v, want ErrShutdown", err)
			}
		}
		e.loops[1].Post(&Task{Run: func(l *Loop) {
			l.Connect(addr, h, func(err error) { failed <- err })
		}})
		if err := wait(t, "a connect after the end", failed); !errors.Is(err, ErrShutdown) {
			t.Errorf("%v, want ErrShutdown", err)
		}
	})
}

// stopGently shuts the engine down and waits for the connections' own ends.
func (e *testEngine) stopGently() {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := e.Shutdown(ctx); err != nil {
		e.t.Errorf("shutdown: %v", err)
	}
}

// proxy passes bytes on to a connection of its own, and what comes of it back.
type proxy struct {
	script
	to net.Addr
}

func newProxy(to net.Addr) *proxy {
	p := &proxy{to: to}
	p.opened = func(c *Conn) {
		front := c.Ref()
		back := &script{
			opened: func(b *Conn) { c.State = b.Ref(); c.Redeliver() },
			data: func(_ *Conn, p []byte) int {
				if f := front.Conn(); f != nil {
					return f.Write(p)
				}
				return len(p)
			},
			closed: func(*Conn, error) {
				if f := front.Conn(); f != nil {
					f.Close()
				}
			},
		}
		c.Loop().Connect(p.to, back, func(err error) {
			if f := front.Conn(); f != nil {
				f.Abort(err)
			}
		})
	}
	p.data = func(c *Conn, p []byte) int {
		ref, _ := c.State.(Ref)
		if b := ref.Conn(); b != nil {
			return b.Write(p)
		}
		return 0
	}
	p.closed = func(c *Conn, _ error) {
		if ref, ok := c.State.(Ref); ok && ref.Conn() != nil {
			ref.Conn().Close()
		}
	}
	return p
}

// drainProxy leaves its connections alone when the engine shuts down.
type drainProxy struct{ *proxy }

func (drainProxy) Drain() {}

// TestConnectDrain: while accepted connections are left, on any loop, the
// outbound ones stay, and new ones can be made; with the last of them all end.
func TestConnectDrain(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		back := serve(t, kind, echo(), Options{})
		addr, err := net.ResolveTCPAddr("tcp", back.addr)
		if err != nil {
			t.Fatal(err)
		}
		e := serve(t, kind, drainProxy{newProxy(addr)}, Options{Loops: 3})
		idle := make(chan error, 1)
		opened := make(chan bool, 1)
		e.loops[2].Post(&Task{Run: func(l *Loop) { // an idle one, of another loop
			l.Connect(addr, &script{
				opened: func(*Conn) { opened <- true },
				closed: func(_ *Conn, err error) { idle <- err },
			}, func(err error) { idle <- err })
		}})
		wait(t, "the idle connection", opened)
		nc := e.dial()
		write(t, nc, []byte("before"))
		wantRead(t, nc, []byte("before"))
		done := make(chan bool)
		go func() { e.stopGently(); close(done) }()
		eventually(t, "it shuts down", func() bool {
			c, err := net.Dial("tcp", e.addr)
			if err == nil {
				c.Close()
			}
			return err != nil
		})
		for i := range 3 { // a connection per loop while it drains
			opened := make(chan error, 1)
			e.loops[i].Post(&Task{Run: func(l *Loop) {
				l.Connect(addr, &script{opened: func(*Conn) { opened <- nil }}, func(err error) { opened <- err })
			}})
			if err := wait(t, "a connection while it drains", opened); err != nil {
				t.Errorf("loop %d: %v", i, err)
			}
		}
		if len(idle) > 0 {
			t.Errorf("the idle connection has ended: %v", <-idle)
		}
		write(t, nc, []byte("while it drains"))
		wantRead(t, nc, []byte("while it drains"))
		closeWrite(t, nc)
		wantEOF(t, nc)
		wait(t, "the end", done)
		if err := wait(t, "the idle connection's end", idle); err != nil {
			t.Errorf("the idle connection ended with %v", err)
		}
	})
}

// TestConnectDetach: an outbound connection can leave the loop like others.
func TestConnectDetach(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		ln := listen(t, "tcp", "127.0.0.1:0")
		e := clientOnly(t, kind, Options{})
		got := make(chan net.Conn, 1)
		h := &script{opened: func(c *Conn) {
			c.Detach(func(nc net.Conn, _ []byte, err error) {
				if err != nil {
					t.Error(err)
				}
				got <- nc
			})
		}}
		if err := e.connect(ln.Addr(), h); err != nil {
			t.Fatal(err)
		}
		nc, peer := wait(t, "the connection", got), accept(t, ln)
		defer nc.Close()
		write(t, nc, []byte("detached"))
		wantRead(t, peer, []byte("detached"))
		if n := e.loops[0].Outbound(); n != 0 {
			t.Errorf("%d outbound connections are left", n)
		}
	})
}

// TestConnectToItself: where nobody listens, a socket does not meet itself.
func TestConnectToItself(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		// A socket that is bound to the port that it connects to does at once
		// what chance would do one time in 28,000.
		ln := listen(t, "tcp", "127.0.0.1:0")
		addr := ln.Addr()
		ln.Close()
		real, err := chooseDriver(&Options{Driver: kind})
		if err != nil {
			t.Fatal(err)
		}
		e := clientOnly(t, kind, Options{OpenDriver: func(c ring.Config) (ring.Driver, error) {
			d, err := real.open(c)
			return boundTo{d, addr.(*net.TCPAddr).Port}, err
		}})
		result := make(chan error, 1)
		e.do(func(l *Loop) {
			l.Connect(addr, &script{opened: func(*Conn) { result <- nil }}, func(err error) { result <- err })
		})
		if err := wait(t, "the refusal", result); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%v, want ECONNREFUSED", err)
		}
	})
}

// boundTo is a driver whose sockets are bound to a port.
type boundTo struct {
	ring.Driver
	port int
}

func (d boundTo) Socket(domain int) (int, error) {
	fd, err := d.Driver.Socket(domain)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: d.port})
	}
	return fd, err
}

// exhaustFiles has every new descriptor refused until restore is called.
func exhaustFiles(t testing.TB) (restore func()) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	set := func(l unix.Rlimit) {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
			t.Error(err)
		}
	}
	set(unix.Rlimit{Cur: 0, Max: old.Max})
	return func() { set(old) }
}
