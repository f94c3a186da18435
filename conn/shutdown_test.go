//go:build linux

package conn

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringcore/ringcore/fallback"
	"github.com/ringcore/ringcore/ring"
)

func TestShutdownIdle(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		before := openSockets(t)
		var ends atomic.Int64
		opened := make(chan struct{}, 10)
		e := serve(t, kind, &script{
			opened: func(*Conn) { opened <- struct{}{} },
			closed: func(_ *Conn, err error) {
				if err != nil {
					t.Errorf("closed with %v", err)
				}
				ends.Add(1)
			},
		}, Options{})
		var clients []*net.TCPConn
		for range 10 {
			clients = append(clients, e.dial())
			wait(t, "Opened", opened)
		}
		done := make(chan error, 2)
		for range 2 { // a second call waits for the same end
			go func() { done <- e.Shutdown(context.Background()) }()
		}
		for _, nc := range clients {
			wantEOF(t, nc)
			nc.Close()
		}
		for range 2 {
			if err := wait(t, "Shutdown", done); err != nil {
				t.Error(err)
			}
		}
		wait(t, "Done", e.Done())
		if ends.Load() != 10 {
			t.Errorf("%d connections closed, want 10", ends.Load())
		}
		if nc, err := net.Dial("tcp", e.addr); err == nil {
			nc.Close()
			t.Error("the listener still accepts")
		}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = e.Listen(ln) // too late: closed
		if nc, err := net.Dial("tcp", ln.Addr().String()); err == nil {
			nc.Close()
			t.Error("a listener that came after the end still accepts")
		}
		eventually(t, "all sockets are closed", func() bool { return openSockets(t) <= before })
	})
}

// TestShutdownBusy: a handler that drains lets the work in hand end.
func TestShutdownBusy(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		var busy Ref
		working, drained := make(chan struct{}, 1), make(chan struct{}, 1)
		h := &script{data: func(c *Conn, p []byte) int {
			busy = c.Ref()
			working <- struct{}{}
			return len(p)
		}}
		e := serveEach(t, kind, func(l *Loop) Handler {
			return drainScript{h, func() {
				if !l.Draining() {
					t.Error("Draining is false in Drain")
				}
				l.Each(func(c *Conn) {
					if c != busy.Conn() {
						c.Close()
					}
				})
				drained <- struct{}{}
			}}
		}, Options{})
		idle, nc := e.dial(), e.dial()
		write(t, nc, []byte("work"))
		wait(t, "Data", working)
		done := make(chan error, 1)
		go func() { done <- e.Shutdown(context.Background()) }()
		wait(t, "Drain", drained)
		wantEOF(t, idle)
		idle.Close()
		select {
		case err := <-done:
			t.Fatalf("Shutdown returned with a connection at work: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		e.do(func(*Loop) {
			busy.Conn().Write([]byte("done"))
			busy.Conn().Close()
		})
		wantRead(t, nc, []byte("done"))
		wantEOF(t, nc)
		nc.Close()
		if err := wait(t, "Shutdown", done); err != nil {
			t.Error(err)
		}
	})
}

// TestShutdownCut: when the context ends, what is left is cut off.
func TestShutdownCut(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		ends := make(chan error, 1)
		opened := make(chan struct{}, 1)
		h := &script{
			opened: func(*Conn) { opened <- struct{}{} },
			closed: func(_ *Conn, err error) { ends <- err },
		}
		e := serveEach(t, kind, func(*Loop) Handler { return drainScript{h, func() {}} }, Options{})
		nc := e.dial()
		wait(t, "Opened", opened)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if err := e.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v, want the context's error", err)
		}
		if err := wait(t, "Closed", ends); !errors.Is(err, ErrShutdown) {
			t.Errorf("closed with %v, want ErrShutdown", err)
		}
		if _, err := io.ReadAll(nc); isTimeout(err) {
			t.Error("the connection is still open")
		}
	})
}

// TestShutdownUnderLoad: connections come while the engine ends. Every one
// that is opened is closed, and none is forgotten.
func TestShutdownUnderLoad(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		for round := range 20 {
			before := openSockets(t)
			var opened, closed atomic.Int64
			h := echo()
			h.opened = func(*Conn) { opened.Add(1) }
			h.closed = func(*Conn, error) { closed.Add(1) }
			e := serve(t, kind, h, Options{Loops: 1 + round%3})
			var clients sync.WaitGroup
			for range 8 {
				clients.Go(func() {
					for {
						nc, err := net.Dial("tcp", e.addr)
						if err != nil {
							return
						}
						_ = nc.SetDeadline(time.Now().Add(patience))
						_, err = nc.Write([]byte("x"))
						if err == nil {
							_, err = io.ReadFull(nc, make([]byte, 1))
						}
						reset(nc.(*net.TCPConn))
						if isTimeout(err) {
							t.Error("a connection hangs")
						}
					}
				})
			}
			eventually(t, "some connections", func() bool { return opened.Load() > 20 })
			ctx, cancel := context.WithCancel(context.Background())
			if round%2 == 0 {
				cancel()
			}
			if err := e.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			cancel()
			clients.Wait()
			if o, c := opened.Load(), closed.Load(); o != c {
				t.Errorf("%d connections opened, %d closed", o, c)
			}
			eventually(t, "all sockets are closed", func() bool { return openSockets(t) <= before })
			if t.Failed() {
				return
			}
		}
	})
}

func TestUnixListener(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		e := serve(t, kind, echo(), Options{})
		path := filepath.Join(t.TempDir(), "socket")
		ln, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Listen(ln); err != nil {
			t.Fatal(err)
		}
		nc, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(patience))
		write(t, nc, []byte("hello"))
		wantRead(t, nc, []byte("hello"))
		tcp := e.dial() // beside it
		write(t, tcp, []byte("hello"))
		wantRead(t, tcp, []byte("hello"))
		e.stop()
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket's file is still there: %v", err)
		}
	})
}

// failing is a driver whose Wait fails when it is told to.
type failing struct {
	ring.Driver
	fail *atomic.Bool
}

var errDriver = errors.New("the driver has had enough")

func (f failing) Wait(timeout time.Duration) error {
	if f.fail.Load() {
		return errDriver
	}
	return f.Driver.Wait(timeout)
}

// TestLoopFails: one of two loops ends by an error of its driver. Its
// connections are closed, the engine says so, what was posted is run, also what is
// more than a turn's, and Shutdown still works.
func TestLoopFails(t *testing.T) {
	const tasks = 3 * maxTaken
	for _, which := range []string{"first", "second"} {
		t.Run(which, func(t *testing.T) {
			run(t, func(t *testing.T, kind DriverKind) {
				ch, err := chooseDriver(&Options{Driver: kind})
				if err != nil {
					t.Fatal(err)
				}
				before := openSockets(t)
				var fail [2]atomic.Bool
				var opens atomic.Int64
				ends := make(chan error, 2)
				h := echo()
				h.closed = func(_ *Conn, err error) { ends <- err }
				drivers := map[*Loop]int{}
				var mu sync.Mutex
				e := serveEach(t, kind, func(l *Loop) Handler {
					mu.Lock()
					defer mu.Unlock()
					for i := range fail {
						if l.driver.(*fallback.Files).Driver.(failing).fail == &fail[i] {
							drivers[l] = i
						}
					}
					return h
				}, Options{Loops: 2, OpenDriver: func(c ring.Config) (ring.Driver, error) {
					d, err := ch.open(c)
					return failing{d, &fail[opens.Add(1)-1]}, err
				}})
				clients := []*net.TCPConn{e.dial(), e.dial()}
				for _, nc := range clients {
					write(t, nc, []byte("x"))
					wantRead(t, nc, []byte("x"))
				}
				l := e.loops[0]
				if which == "second" {
					l = e.loops[1]
				}
				held, release := make(chan struct{}), make(chan struct{})
				l.Post(&Task{Run: func(*Loop) { close(held); <-release }})
				<-held
				var ran atomic.Int64
				for range tasks {
					l.Post(&Task{Run: func(*Loop) { ran.Add(1); fail[drivers[l]].Store(true) }})
				}
				close(release)
				wait(t, "Failed", e.Failed())
				if n := ran.Load(); n != tasks {
					t.Errorf("%d of %d tasks were run", n, tasks)
				}
				if err := e.Err(); !errors.Is(err, errDriver) {
					t.Errorf("Err: %v, want the driver's", err)
				}
				if err := wait(t, "Closed", ends); !errors.Is(err, errDriver) {
					t.Errorf("closed with %v, want the driver's error", err)
				}
				e.stop()
				for _, nc := range clients {
					if _, err := io.ReadAll(nc); isTimeout(err) {
						t.Error("a connection is still open")
					}
					nc.Close()
				}
				eventually(t, "all sockets are closed", func() bool { return openSockets(t) <= before })
			})
		})
	}
}

// TestStartFails: a loop cannot start, and the others end.
func TestStartFails(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		ch, err := chooseDriver(&Options{Driver: kind})
		if err != nil {
			t.Fatal(err)
		}
		var opens atomic.Int64
		e, err := Start(Options{Loops: 3, Driver: kind, Handler: func(*Loop) Handler { return &script{} },
			OpenDriver: func(c ring.Config) (ring.Driver, error) {
				if opens.Add(1) == 2 {
					return nil, errDriver
				}
				return ch.open(c)
			}})
		if e != nil || !errors.Is(err, errDriver) {
			t.Errorf("Start: %v, %v, want the driver's error", e, err)
		}
	})
}
