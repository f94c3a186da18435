//go:build linux

package conn

import (
	"bytes"
	"io"
	"sync/atomic"
	"testing"
	"time"
)

// TestSlowReader: a peer that does not read stops the writer at HighWater, and
// gets everything once it reads.
func TestSlowReader(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		const high = 50_000
		body := pattern(16 << 20)
		var most, drained atomic.Int64
		stalled := make(chan struct{}, 1)
		rest := body
		pump := func(c *Conn) {
			for len(rest) > 0 {
				n := c.Write(rest)
				if q := int64(c.Queued()); q > most.Load() {
					most.Store(q)
				}
				if rest = rest[n:]; n == 0 {
					break
				}
			}
			if len(rest) == 0 {
				c.Close()
			}
		}
		h := &script{
			data:    func(c *Conn, p []byte) int { pump(c); stalled <- struct{}{}; return len(p) },
			drained: func(c *Conn) { drained.Add(1); pump(c) },
		}
		e := serve(t, kind, h, Options{HighWater: high})
		nc := e.dial()
		_ = nc.SetReadBuffer(64 << 10)
		write(t, nc, []byte("x"))
		wait(t, "the writer's stall", stalled)
		// It holds still while nobody reads.
		settle := func() int64 { n := drained.Load(); time.Sleep(20 * time.Millisecond); return drained.Load() - n }
		eventually(t, "no more Drained", func() bool { return settle() == 0 })
		if got := drained.Load(); got > int64(len(body)/high)*4 {
			t.Errorf("Drained %d times", got)
		}
		got, err := io.ReadAll(nc)
		if err != nil || !bytes.Equal(got, body) {
			t.Fatalf("read %d of %d bytes and %v", len(got), len(body), err)
		}
		if m := most.Load(); m > high {
			t.Errorf("%d bytes were queued, HighWater is %d", m, high)
		}
	})
}

// TestReserveHighWater: with Reserve the output exceeds HighWater by one
// reservation at most.
func TestReserveHighWater(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		const high, piece = 30_000, 10_000
		queued := make(chan int, 1)
		e := serve(t, kind, &script{
			data: func(c *Conn, p []byte) int {
				for b := c.Reserve(piece); b != nil; b = c.Reserve(piece) {
					c.Commit(piece)
				}
				queued <- c.Queued()
				return len(p)
			},
		}, Options{HighWater: high})
		nc := e.dial()
		write(t, nc, []byte("x"))
		if n := wait(t, "Data", queued); n < high || n >= high+piece {
			t.Errorf("%d bytes are queued, want %d to %d", n, high, high+piece)
		}
	})
}

// TestOutputPausesReceive: who does not read our answers is not heard, so that
// neither side's memory grows.
func TestOutputPausesReceive(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		var most atomic.Int64
		h := echo()
		data := h.data
		h.data = func(c *Conn, p []byte) int {
			n := data(c, p)
			most.Store(max(most.Load(), int64(c.Queued()+len(p)-n)))
			return n
		}
		const high, buffer = 40_000, 4096
		e := serve(t, kind, h, Options{HighWater: high, ReadLimit: 1 << 30, BufferSize: buffer, Buffers: 16})
		nc := e.dial()
		p := pattern(48 << 20) // more than the kernel's buffers hold
		sent := make(chan error, 1)
		go func() {
			_, err := nc.Write(p)
			_ = nc.CloseWrite()
			sent <- err
		}()
		eventually(t, "the output is full", func() bool { return most.Load() >= high })
		select {
		case <-sent:
			t.Error("all was sent although nobody reads the echo")
		case <-time.After(50 * time.Millisecond):
		}
		got, err := io.ReadAll(nc)
		if err != nil || !bytes.Equal(got, p) {
			t.Fatalf("read %d of %d bytes and %v", len(got), len(p), err)
		}
		if err := wait(t, "the end of sending", sent); err != nil {
			t.Error(err)
		}
		// What is in the driver's buffers when receiving pauses comes on top.
		if m := most.Load(); m > high+32*buffer {
			t.Errorf("%d bytes were held, want at most %d", m, high+32*buffer)
		}
	})
}

// TestReadLimit: input that nobody consumes stops the peer, and Redeliver
// brings it again.
func TestReadLimit(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		const limit, buffer = 10_000, 1024
		refs := make(chan Ref, 1)
		var held atomic.Int64
		take := false
		var got []byte
		e := serve(t, kind, &script{
			opened: func(c *Conn) { refs <- c.Ref() },
			data: func(c *Conn, p []byte) int {
				if !take {
					held.Store(int64(len(p)))
					return 0
				}
				got = append(got, p...)
				return len(p)
			},
			eof: func(c *Conn) { c.Write(got); c.Close() },
		}, Options{ReadLimit: limit, Buffers: 8, BufferSize: buffer, HighWater: 8 << 20})
		nc := e.dial()
		p := pattern(4 << 20)
		go func() {
			if _, err := nc.Write(p); err == nil {
				_ = nc.CloseWrite()
			}
		}()
		ref := wait(t, "Opened", refs)
		eventually(t, "the limit is reached", func() bool { return held.Load() >= limit })
		eventually(t, "receiving stops", func() (stopped bool) {
			e.do(func(*Loop) {
				c := ref.Conn()
				stopped = !c.receiving
				if n := c.Unconsumed(); n >= limit+8*buffer {
					t.Errorf("%d bytes are held, ReadLimit is %d", n, limit)
				}
			})
			return stopped || t.Failed()
		})
		e.do(func(*Loop) {
			take = true
			ref.Conn().Redeliver()
			if n := ref.Conn().Unconsumed(); n != 0 {
				t.Errorf("%d bytes are left after Redeliver", n)
			}
		})
		back, err := io.ReadAll(nc)
		if err != nil || !bytes.Equal(back, p) {
			t.Fatalf("read %d of %d bytes and %v", len(back), len(p), err)
		}
	})
}

// TestPauseReceive: while paused nothing arrives but what was on its way.
func TestPauseReceive(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		refs := make(chan Ref, 1)
		var calls atomic.Int64
		h := echo()
		h.opened = func(c *Conn) { c.PauseReceive(); refs <- c.Ref() }
		data := h.data
		h.data = func(c *Conn, p []byte) int { calls.Add(1); return data(c, p) }
		e := serve(t, kind, h, Options{})
		nc := e.dial()
		ref := wait(t, "Opened", refs)
		write(t, nc, []byte("one"))
		eventually(t, "one is in the kernel", func() (p bool) {
			e.do(func(*Loop) { p = ref.Conn().Pending() })
			return p
		})
		if calls.Load() != 0 {
			t.Error("Data while paused")
		}
		e.do(func(*Loop) { ref.Conn().ResumeReceive() })
		wantRead(t, nc, []byte("one"))
		for range 200 { // every order of pausing, resuming and arriving
			e.do(func(*Loop) { ref.Conn().PauseReceive() })
			write(t, nc, []byte("two"))
			e.do(func(*Loop) {
				ref.Conn().ResumeReceive()
				ref.Conn().PauseReceive()
				ref.Conn().ResumeReceive()
			})
			wantRead(t, nc, []byte("two"))
		}
	})
}
