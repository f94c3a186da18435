//go:build linux

package conn

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ringcore/ringcore/ring"
)

// detached is what Detach brought.
type detached struct {
	nc   net.Conn
	rest []byte
	err  error
}

// TestDetach: the connection goes on as a net.Conn, what the handler had not
// consumed first, and everything that was written before.
func TestDetach(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		results := make(chan detached, 1)
		out := pattern(300_000)
		var after atomic.Int64
		e := serve(t, kind, &script{
			data: func(c *Conn, p []byte) int {
				if len(p) < 8 {
					return 0
				}
				c.Write(out)
				c.Detach(func(nc net.Conn, rest []byte, err error) {
					after.Store(1)
					results <- detached{nc, rest, err}
				})
				c.Detach(func(_ net.Conn, _ []byte, err error) {
					if err == nil {
						t.Error("a second Detach works")
					}
				})
				return 4
			},
			closed: func(*Conn, error) { after.Add(1) },
		}, Options{HighWater: 1 << 20})
		nc := e.dial()
		write(t, nc, []byte("head"))
		write(t, nc, []byte("rest"))
		wantRead(t, nc, out)
		write(t, nc, []byte(" and more"))
		d := wait(t, "Detach", results)
		if d.err != nil {
			t.Fatal(d.err)
		}
		defer d.nc.Close()
		eventually(t, "the slot is free", func() bool { return e.Conns() == 0 })
		if _, ok := d.nc.(*net.TCPConn); !ok {
			t.Errorf("the connection is a %T", d.nc)
		}
		_ = d.nc.SetDeadline(time.Now().Add(patience))
		want := "rest and more"
		if len(d.rest) < 4 || string(d.rest) != want[:len(d.rest)] {
			t.Fatalf("the rest is %q", d.rest)
		}
		wantRead(t, d.nc, []byte(want[len(d.rest):]))
		write(t, d.nc, []byte("answer"))
		wantRead(t, nc, []byte("answer"))
		// A deadline works: it is a real connection of the runtime's poller.
		_ = d.nc.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := d.nc.Read(make([]byte, 1)); !isTimeout(err) {
			t.Errorf("Read past its deadline: %v", err)
		}
		_ = d.nc.Close()
		wantEOF(t, nc)
		if after.Load() != 1 {
			t.Error("Closed was called for a detached connection")
		}
		// Its slot serves another one.
		nc2 := e.dial()
		write(t, nc2, []byte("head"))
		write(t, nc2, []byte("rest"))
		wantRead(t, nc2, out)
		wait(t, "Detach", results).nc.Close()
	})
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// TestDetachOfIdle: nothing is in flight but the receive, or not even that.
func TestDetachOfIdle(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		results := make(chan detached, 1)
		pause := false
		e := serve(t, kind, &script{opened: func(c *Conn) {
			if pause {
				c.PauseReceive()
			}
			c.Detach(func(nc net.Conn, rest []byte, err error) { results <- detached{nc, rest, err} })
		}}, Options{})
		for range 2 {
			nc := e.dial()
			d := wait(t, "Detach", results)
			if d.err != nil || len(d.rest) > 0 {
				t.Fatalf("rest %q, error %v", d.rest, d.err)
			}
			write(t, d.nc, []byte("hello"))
			wantRead(t, nc, []byte("hello"))
			_ = d.nc.Close()
			e.do(func(*Loop) { pause = true })
		}
	})
}

// TestDetachFails: the peer resets, the handler closes or aborts, the engine
// ends: whoever waits for the connection hears of it, before Closed.
func TestDetachFails(t *testing.T) {
	ends := map[string]func(e *testEngine, ref Ref, nc *net.TCPConn){
		"reset": func(_ *testEngine, _ Ref, nc *net.TCPConn) { reset(nc) },
		"abort": func(e *testEngine, ref Ref, _ *net.TCPConn) { e.do(func(*Loop) { ref.Conn().Abort(nil) }) },
		"close": func(e *testEngine, ref Ref, nc *net.TCPConn) {
			e.do(func(*Loop) { ref.Conn().Close() })
			go io.Copy(io.Discard, nc)
			_ = nc.CloseWrite()
		},
		"cut": func(e *testEngine, _ Ref, _ *net.TCPConn) { e.do((*Loop).abort) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, kind DriverKind) {
				order := make(chan string, 2)
				refs := make(chan Ref, 1)
				e := serve(t, kind, &script{
					data: func(c *Conn, p []byte) int {
						c.Write(make([]byte, 16<<20)) // more than the kernel takes: it has to wait
						c.Detach(func(nc net.Conn, _ []byte, err error) {
							if nc != nil || err == nil {
								t.Errorf("Detach brings %v, %v", nc, err)
							}
							order <- "detach"
						})
						refs <- c.Ref()
						return len(p)
					},
					closed: func(*Conn, error) { order <- "closed" },
				}, Options{HighWater: 16 << 20})
				nc := e.dial()
				write(t, nc, []byte("x"))
				ref := wait(t, "Data", refs)
				end(e, ref, nc)
				for _, want := range []string{"detach", "closed"} {
					if got := wait(t, want, order); got != want {
						t.Errorf("%s came first", got)
					}
				}
			})
		})
	}
}

// refusing is a driver that does not detach.
type refusing struct{ ring.Driver }

func (refusing) Detach(int) error { return syscall.ENOMEM }

// TestDetachRefused: the driver cannot; the connection is closed, once.
func TestDetachRefused(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		ch, err := chooseDriver(&Options{Driver: kind})
		if err != nil {
			t.Fatal(err)
		}
		before := openSockets(t)
		results := make(chan error, 2)
		e := serve(t, kind, &script{
			opened: func(c *Conn) {
				c.Detach(func(_ net.Conn, _ []byte, err error) { results <- err })
			},
			closed: func(_ *Conn, err error) { results <- err },
		}, Options{OpenDriver: func(c ring.Config) (ring.Driver, error) {
			d, err := ch.open(c)
			return refusing{d}, err
		}})
		nc := e.dial()
		for range 2 {
			if err := wait(t, "the error", results); !errors.Is(err, syscall.ENOMEM) {
				t.Errorf("got %v, want ENOMEM", err)
			}
		}
		wantEOF(t, nc)
		nc.Close()
		e.stop()
		eventually(t, "all sockets are closed", func() bool { return openSockets(t) <= before })
	})
}

// TestDetachLetsOthersSpeak: what the one who gets the connection does to
// others is still done in the same turn.
func TestDetachLetsOthersSpeak(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		var other *Conn
		refs := make(chan Ref, 1)
		e := serve(t, kind, &script{data: func(c *Conn, p []byte) int {
			if other == nil {
				other = c
				c.Write([]byte("first"))
			} else {
				c.PauseReceive()
				refs <- c.Ref()
			}
			return len(p)
		}}, Options{})
		a, b := e.dial(), e.dial()
		write(t, a, []byte("x"))
		wantRead(t, a, []byte("first"))
		write(t, b, []byte("x"))
		ref := wait(t, "Data", refs)
		eventually(t, "nothing is in flight", func() (quiet bool) {
			e.do(func(*Loop) { quiet = !ref.Conn().receiving })
			return quiet
		})
		e.do(func(*Loop) {
			ref.Conn().Detach(func(nc net.Conn, _ []byte, err error) {
				if err != nil {
					t.Error(err)
					return
				}
				other.Write([]byte("detached"))
				_ = nc.Close()
			})
		})
		wantRead(t, a, []byte("detached"))
	})
}

// TestDetachUnderWriter: a Writer that waits for memory hears of the detach.
func TestDetachUnderWriter(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		results := make(chan error, 1)
		refs := make(chan Ref, 1)
		e := serve(t, kind, &script{opened: func(c *Conn) {
			l := c.Loop()
			l.tiny.maxSlabs, l.small.maxSlabs, l.large.maxSlabs = 0, 0, 0
			w := c.NewWriter()
			go func() {
				_, err := w.Write([]byte("x"))
				results <- errors.Join(err, w.Flush())
			}()
			refs <- c.Ref()
		}}, Options{})
		e.dial()
		ref := wait(t, "Opened", refs)
		eventually(t, "the writer waits", func() (waits bool) {
			e.do(func(*Loop) { waits = ref.Conn().writer != nil })
			return waits
		})
		conns := make(chan detached, 1)
		e.do(func(*Loop) {
			ref.Conn().Detach(func(nc net.Conn, rest []byte, err error) { conns <- detached{nc, rest, err} })
		})
		d := wait(t, "Detach", conns)
		if d.err != nil {
			t.Fatal(d.err)
		}
		_ = d.nc.Close()
		if err := wait(t, "the Write's error", results); !errors.Is(err, ErrClosed) {
			t.Errorf("Flush: %v, want ErrClosed", err)
		}
	})
}
