//go:build linux

package conn

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// withWriter serves connections that send back by a Writer; f runs on a
// goroutine of its own for each.
func withWriter(f func(w *Writer)) *script {
	return &script{data: func(c *Conn, p []byte) int {
		w := c.NewWriter()
		go f(w)
		return len(p)
	}}
}

// TestWriter writes a lot from another goroutine; the connection holds
// HighWater of it at most.
func TestWriter(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		body := pattern(8 << 20)
		results := make(chan error, 1)
		refs := make(chan Ref, 1)
		h := withWriter(func(w *Writer) {
			rest := body
			for _, n := range []int{0, 1, 10, 4096, 100_000, 1 << 20} {
				if k, err := w.Write(rest[:n]); k != n || err != nil {
					t.Errorf("Write of %d bytes: %d, %v", n, k, err)
				}
				rest = rest[n:]
			}
			_, err := w.Write(rest)
			results <- errors.Join(err, w.Flush())
		})
		h.opened = func(c *Conn) { refs <- c.Ref() }
		const high = 60_000
		e := serve(t, kind, h, Options{HighWater: high})
		nc := e.dial()
		write(t, nc, []byte("x"))
		ref := wait(t, "Opened", refs)
		for range 100 {
			e.do(func(*Loop) {
				if q := ref.Conn().Queued(); q > high {
					t.Errorf("%d bytes are queued", q)
				}
			})
		}
		wantRead(t, nc, body)
		if err := wait(t, "the last Write", results); err != nil {
			t.Error(err)
		}
	})
}

// TestWriterDies: the connection ends under a Writer that waits for room; it
// hears of it, whichever way it ends, and every further Write fails.
func TestWriterDies(t *testing.T) {
	ends := map[string]func(e *testEngine, ref Ref, nc io.Closer){
		"reset":    func(e *testEngine, _ Ref, nc io.Closer) { _ = nc.Close() },
		"abort":    func(e *testEngine, ref Ref, _ io.Closer) { e.do(func(*Loop) { ref.Conn().Abort(nil) }) },
		"close":    func(e *testEngine, ref Ref, _ io.Closer) { e.do(func(*Loop) { ref.Conn().Close() }) },
		"shutdown": func(e *testEngine, _ Ref, _ io.Closer) { e.do((*Loop).abort) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, kind DriverKind) {
				results := make(chan error, 2)
				refs := make(chan Ref, 1)
				h := withWriter(func(w *Writer) {
					var err error
					for err == nil {
						_, err = w.Write(make([]byte, 1<<20))
					}
					results <- err
					_, err = w.Write([]byte("more"))
					results <- err
				})
				h.opened = func(c *Conn) { refs <- c.Ref() }
				e := serve(t, kind, h, Options{})
				nc := e.dial()
				write(t, nc, []byte("x"))
				ref := wait(t, "Opened", refs)
				eventually(t, "the writer waits", func() (waits bool) {
					e.do(func(*Loop) {
						c := ref.Conn()
						// what the kernel has taken meanwhile may be missing from HighWater
						waits = c.writer != nil && c.queued > e.opts.LowWater
					})
					return waits
				})
				_ = nc.SetLinger(0)
				end(e, ref, nc)
				for range 2 {
					if err := wait(t, "the Write's error", results); !errors.Is(err, ErrClosed) {
						t.Errorf("Write: %v, want ErrClosed", err)
					}
				}
			})
		})
	}
}

// TestWriterOnGoneConnection: a Writer may outlive its connection, and its
// engine.
func TestWriterOnGoneConnection(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		writers := make(chan *Writer, 1)
		e := serve(t, kind, &script{opened: func(c *Conn) { writers <- c.NewWriter(); c.Abort(nil) }}, Options{})
		e.dial()
		w := wait(t, "Opened", writers)
		eventually(t, "the connection is gone", func() bool { return e.Conns() == 0 })
		wantDead(t, w)
		e.dial()
		w = wait(t, "Opened", writers)
		e.stop()
		wantDead(t, w)
	})
}

// wantDead fails unless w knows that its connection is gone, once it has asked.
func wantDead(t *testing.T, w *Writer) {
	t.Helper()
	_, _ = w.Write([]byte("x"))
	if err := w.Flush(); !errors.Is(err, ErrClosed) {
		t.Errorf("Flush: %v, want ErrClosed", err)
	}
	if n, err := w.Write([]byte("x")); n != 0 || !errors.Is(err, ErrClosed) {
		t.Errorf("Write: %d, %v, want 0 and ErrClosed", n, err)
	}
}

// TestWriterDoesNotWaitForTheLoop: what fits the window is taken while the loop
// is busy; more waits for it.
func TestWriterDoesNotWaitForTheLoop(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		writers := make(chan *Writer, 1)
		e := serve(t, kind, &script{opened: func(c *Conn) { writers <- c.NewWriter() }}, Options{})
		nc := e.dial()
		w := wait(t, "Opened", writers)
		body := pattern(writerWindow + 1)
		done := make(chan error, 1)
		e.do(func(*Loop) {
			for at := 0; at < writerWindow; at += 1024 {
				if _, err := w.Write(body[at : at+1024]); err != nil {
					t.Error(err)
				}
			}
			go func() {
				_, err := w.Write(body[writerWindow:])
				done <- errors.Join(err, w.Flush())
			}()
		})
		wantRead(t, nc, body)
		if err := wait(t, "Flush", done); err != nil {
			t.Error(err)
		}
	})
}

// TestWriterCopies: what was passed to Write may be changed afterwards.
func TestWriterCopies(t *testing.T) {
	run(t, func(t *testing.T, kind DriverKind) {
		const pieces, size = 200, 1000
		h := withWriter(func(w *Writer) {
			p := make([]byte, size)
			for i := range pieces {
				for k := range p {
					p[k] = byte(i)
				}
				if _, err := w.Write(p); err != nil {
					t.Error(err)
				}
			}
		})
		e := serve(t, kind, h, Options{HighWater: 3000})
		nc := e.dial()
		write(t, nc, []byte("x"))
		for i := range pieces {
			wantRead(t, nc, bytes.Repeat([]byte{byte(i)}, size))
		}
	})
}
