//go:build linux

package conn

import "sync/atomic"

// Writer writes to a connection from another goroutine and waits while the
// peer is slower than the writer: an io.Writer with backpressure. One
// goroutine at a time may use it.
type Writer struct {
	ref  Ref
	task Task
	p    []byte     // what is left to be copied into the output
	done chan error // capacity 1: the loop never waits for the writer
	file *transfer  // it is no goroutine but a file, see Conn.SendFile

	failed atomic.Bool
}

// NewWriter returns a Writer for c, which should have no other. To be called
// on the loop's goroutine.
func (c *Conn) NewWriter() *Writer {
	w := &Writer{ref: c.Ref(), done: make(chan error, 1)}
	w.task.Run = w.start
	return w
}

// Write hands p to the connection and returns when all of it has been copied
// into the output: at most HighWater bytes wait there. p is not kept. After an
// error (the connection is closed) every further Write fails.
func (w *Writer) Write(p []byte) (int, error) {
	if w.failed.Load() {
		return 0, ErrClosed
	}
	if len(p) == 0 {
		return 0, nil
	}
	w.p = p
	w.ref.conn.loop.Post(&w.task)
	if err := <-w.done; err != nil {
		w.failed.Store(true)
		return len(p) - len(w.p), err
	}
	return len(p), nil
}

func (w *Writer) start(*Loop) {
	c := w.ref.Conn()
	if c == nil || c.state != stateOpen {
		w.done <- ErrClosed
		return
	}
	c.writer = w
	w.pump(c)
}

// pump moves on as far as there is room; Drained comes back to it.
func (w *Writer) pump(c *Conn) {
	w.p = w.p[c.Write(w.p):]
	if len(w.p) == 0 {
		c.writer = nil
		w.done <- nil
	}
}

func (c *Conn) failWriter(err error) {
	if w := c.writer; w != nil && w.file == nil {
		c.writer = nil
		w.done <- err
	}
}
