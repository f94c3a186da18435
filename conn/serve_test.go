//go:build linux

package conn

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
)

func TestEcho(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		e := serve(t, kind, echo(), Options{})
		nc := e.dial()
		for _, n := range []int{1, 100, 4095, 4096, 4097, 16 << 10, 16<<10 + 1, 100_000} {
			p := pattern(n)
			go nc.Write(p)
			wantRead(t, nc, p)
		}
		closeWrite(t, nc)
		wantEOF(t, nc)
		eventually(t, "the connection is gone", func() bool { return e.Conns() == 0 })
	})
}

// TestEchoMany: many connections at once, each with more than fits anywhere,
// on few receive buffers.
func TestEchoMany(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		e := serve(t, kind, echo(), Options{Buffers: 8, BufferSize: 1024, HighWater: 20_000, ReadLimit: 5000})
		p := pattern(1 << 20)
		results := make(chan error)
		const conns = 30
		for range conns {
			nc := e.dial()
			go func() {
				if _, err := nc.Write(p); err == nil {
					_ = nc.CloseWrite()
				}
			}()
			go func() {
				got, err := io.ReadAll(nc)
				if err == nil && !bytes.Equal(got, p) {
					err = errors.New("what came back is not what was sent")
				}
				results <- err
			}()
		}
		for range conns {
			if err := wait(t, "an echo", results); err != nil {
				t.Error(err)
			}
		}
	})
}

// The peer closes its side; the answer comes afterwards.
func TestHalfClose(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		var got []byte
		ends := make(chan error, 1)
		e := serve(t, kind, &script{
			data: func(c *Conn, p []byte) int {
				got = append(got, p...)
				return len(p)
			},
			eof: func(c *Conn) {
				if !c.EOFSeen() {
					t.Error("EOFSeen is false in EOF")
				}
				c.Write(got)
				c.Close()
			},
			closed: func(c *Conn, err error) { ends <- err },
		}, Options{})
		nc := e.dial()
		p := pattern(50_000)
		write(t, nc, p)
		closeWrite(t, nc)
		wantRead(t, nc, p)
		wantEOF(t, nc)
		if err := wait(t, "Closed", ends); err != nil {
			t.Errorf("closed with %v", err)
		}
	})
}

func TestResetByPeer(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		ends := make(chan error, 1)
		opened := make(chan struct{}, 1)
		e := serve(t, kind, &script{
			data:   func(c *Conn, p []byte) int { opened <- struct{}{}; return len(p) },
			eof:    func(*Conn) { t.Error("EOF") },
			closed: func(c *Conn, err error) { ends <- err },
		}, Options{})
		nc := e.dial()
		write(t, nc, []byte("x"))
		wait(t, "Data", opened)
		reset(nc)
		if err := wait(t, "Closed", ends); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("closed with %v, want ECONNRESET", err)
		}
		eventually(t, "the connection is gone", func() bool { return e.Conns() == 0 })
	})
}

// TestResetWhileSending: the peer goes while the output fills up.
func TestResetWhileSending(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		ends := make(chan error, 1)
		full := make(chan struct{}, 1)
		p := make([]byte, 1<<20)
		h := &script{
			data:   func(c *Conn, q []byte) int { c.PauseReceive(); c.Write(p); return len(q) },
			closed: func(c *Conn, err error) { ends <- err },
		}
		h.drained = func(c *Conn) {
			c.Write(p)
			select {
			case full <- struct{}{}:
			default:
			}
		}
		e := serve(t, kind, h, Options{})
		nc := e.dial()
		write(t, nc, []byte("x"))
		wait(t, "Drained", full)
		reset(nc)
		err := wait(t, "Closed", ends)
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("closed with %v, want ECONNRESET or EPIPE", err)
		}
	})
}

func TestAbort(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		boom := errors.New("boom")
		ends := make(chan error, 1)
		e := serve(t, kind, &script{
			data: func(c *Conn, p []byte) int {
				c.Write(p)
				c.Abort(boom)
				if !c.Closing() || c.Err() != boom {
					t.Errorf("after Abort: Closing %v, Err %v", c.Closing(), c.Err())
				}
				if n := c.Write(p); n != len(p) || c.Reserve(1) != nil {
					t.Errorf("an aborted connection takes %d bytes of %d", n, len(p))
				}
				return 0
			},
			closed: func(c *Conn, err error) { ends <- err },
		}, Options{})
		nc := e.dial()
		write(t, nc, []byte("x"))
		if err := wait(t, "Closed", ends); err != boom {
			t.Errorf("closed with %v, want %v", err, boom)
		}
		if b, _ := io.ReadAll(nc); len(b) > 0 {
			t.Errorf("the peer of an aborted connection read %q", b)
		}
	})
}

// TestCloseAnswersWhoeverIsStillSending: the peer sends more than anybody
// reads and sees the answer all the same, not a reset.
func TestCloseAnswersWhoeverIsStillSending(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		answer := pattern(20_000)
		ends := make(chan error, 1)
		e := serve(t, kind, &script{
			data: func(c *Conn, p []byte) int {
				c.Write(answer)
				c.Close()
				return 10
			},
			closed: func(c *Conn, err error) { ends <- err },
		}, Options{})
		nc := e.dial()
		write(t, nc, pattern(maxLingered/2))
		got, err := io.ReadAll(nc) // after the sending, as many clients do
		if err != nil || !bytes.Equal(got, answer) {
			t.Fatalf("read %d of %d bytes and %v", len(got), len(answer), err)
		}
		nc.Close()
		if err := wait(t, "Closed", ends); err != nil {
			t.Errorf("closed with %v", err)
		}
	})
}

func TestAddresses(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		addrs := make(chan [2]netip.AddrPort, 1)
		e := serve(t, kind, &script{
			opened: func(c *Conn) { addrs <- [2]netip.AddrPort{c.LocalAddr(), c.RemoteAddr()} },
		}, Options{})
		nc := e.dial()
		got := wait(t, "Opened", addrs)
		if got[0].String() != nc.RemoteAddr().String() || got[1].String() != nc.LocalAddr().String() {
			t.Errorf("addresses %v, want %v and %v", got, nc.RemoteAddr(), nc.LocalAddr())
		}
	})
}

// TestPending: what the peer has sent and nobody has received can be seen.
func TestPending(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		refs := make(chan Ref, 1)
		e := serve(t, kind, &script{
			data: func(c *Conn, p []byte) int {
				c.PauseReceive()
				refs <- c.Ref()
				return len(p)
			},
		}, Options{})
		nc := e.dial()
		write(t, nc, []byte("x"))
		ref := wait(t, "Data", refs)
		pending := func() (p bool) {
			e.do(func(*Loop) { p = ref.Conn().Pending() })
			return p
		}
		if pending() {
			t.Error("Pending although nothing was sent")
		}
		write(t, nc, []byte("y"))
		eventually(t, "Pending", pending)
	})
}

// TestReserve: an answer is built in place; what is reserved and not used
// leaves no buffer behind.
func TestReserve(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		unused := make(chan struct{}, 1)
		e := serve(t, kind, &script{
			data: func(c *Conn, p []byte) int {
				if c.Reserve(smallSize+1) != nil {
					t.Error("Reserve gives more than a buffer has")
				}
				b := c.Reserve(smallSize)
				if len(b) < smallSize || cap(b) != len(b) {
					t.Errorf("Reserve(%d): length %d, capacity %d", smallSize, len(b), cap(b))
				}
				if p[0] == 'n' {
					c.Commit(0)
					unused <- struct{}{}
				} else {
					c.Commit(copy(b, "hello, "))
					c.Commit(copy(c.Reserve(5), "world"))
				}
				return len(p)
			},
		}, Options{})
		nc := e.dial()
		write(t, nc, []byte("y"))
		wantRead(t, nc, []byte("hello, world"))
		write(t, nc, []byte("n"))
		wait(t, "Data", unused)
		eventually(t, "no buffer is held", func() (none bool) {
			e.do(func(l *Loop) {
				none = true
				l.Each(func(c *Conn) { none = c.outHead == nil })
			})
			return none && e.Conns() == 1
		})
	})
}

// turnCounter is an echo that counts what each turn brings.
type turnCounter struct {
	*script
	now, most int
	enough    int // that ends a turn
}

func (h *turnCounter) TurnEnd() bool {
	h.most, h.now = max(h.most, h.now), 0
	return true
}

// What comes on more connections than a turn takes, or than its handler wants, is
// taken by the next turns, without waiting for more.
func TestTurnsAreBounded(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		t.Run("by the loop", func(t *testing.T) { testTurns(t, kind, 0, maxTaken) })
		t.Run("by the handler", func(t *testing.T) { testTurns(t, kind, 10, 10) })
	})
}

func testTurns(t *testing.T, kind DriverKind, enough, bound int) {
	const conns = 2*maxTaken + 100
	h := &turnCounter{script: &script{}, enough: enough}
	h.data = func(c *Conn, p []byte) int {
		if h.now++; h.now == h.enough {
			c.Loop().EndTurn()
		}
		return c.Write(p)
	}
	e := serve(t, kind, h, Options{Loops: 1, Movable: true}) // else io_uring delivers some 20 at a time
	all := make([]net.Conn, conns)
	for i := range all {
		all[i] = e.dial()
	}
	eventually(t, "all are accepted", func() bool { return e.Conns() == conns })
	held, release := make(chan struct{}), make(chan struct{})
	e.Loops()[0].Post(&Task{Run: func(*Loop) { close(held); <-release }})
	<-held
	for _, nc := range all {
		if _, err := nc.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	for _, nc := range all {
		wantRead(t, nc, []byte("x"))
	}
	e.do(func(*Loop) {
		if h.most < bound/2 || h.most > bound {
			t.Errorf("a turn brought %d, want many, at most %d", h.most, bound)
		}
	})
}

// The same goes for tasks, which run in order: what they bring about is sent
// meanwhile.
func TestTasksAreBounded(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		h := &turnCounter{script: &script{}}
		loop := serve(t, kind, h, Options{}).Loops()[0]
		const tasks = 5 * maxTaken
		ran, most := 0, make(chan int, 1)
		held, release := make(chan struct{}), make(chan struct{})
		loop.Post(&Task{Run: func(*Loop) { close(held); <-release }})
		<-held
		for i := range tasks {
			loop.Post(&Task{Run: func(*Loop) {
				if ran != i {
					t.Errorf("task %d runs as number %d", i, ran)
				}
				h.now++
				ran++
			}})
		}
		loop.Post(&Task{Run: func(*Loop) { most <- h.most }})
		close(release)
		if n := wait(t, "all tasks", most); n < maxTaken/2 || n > 2*maxTaken { // some of them after TurnEnd
			t.Errorf("a turn ran %d tasks, want many, at most %d", n, 2*maxTaken)
		}
	})
}
