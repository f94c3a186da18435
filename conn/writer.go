//go:build linux

package conn

import "sync"

// writerWindow is how much a Writer holds before its Write waits: enough for
// many small writes to go with one turn of the loop.
const writerWindow = 32 << 10

// Writer writes to a connection from another goroutine and waits while the
// peer is slower than the writer: an io.Writer with backpressure. One
// goroutine at a time may use it.
type Writer struct {
	ref  Ref
	task Task
	file *transfer // it is no goroutine but a file, see Conn.SendFile

	mu     sync.Mutex
	buf    []byte        // written, and not yet the loop's
	posted bool          // the loop has something to take, or is at it
	waits  bool          // the writer does, for room
	room   chan struct{} // capacity 1: the loop never waits for the writer
	err    error         // why nothing can be written any more

	taken []byte // the loop's: taken[at:] is to be copied into the output
	at    int
}

// NewWriter returns a Writer for c, which should have no other. To be called
// on the loop's goroutine.
func (c *Conn) NewWriter() *Writer {
	w := &Writer{ref: c.Ref(), room: make(chan struct{}, 1)}
	w.task.Run = w.start
	return w
}

// Write hands p to the connection, and waits while the peer is behind: at most
// HighWater bytes wait in the output, and about 64 KiB in the Writer. p is not
// kept. It is sent with the loop's next turn. After an error (the connection is
// closed) every further Write fails; a Write before may have succeeded in vain,
// as on any connection.
func (w *Writer) Write(p []byte) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.err == nil && n < len(p) {
		space := writerWindow - len(w.buf)
		if space == 0 {
			w.wait()
			continue
		}
		k := min(space, len(p)-n)
		w.buf = append(w.buf, p[n:n+k]...)
		n += k
		if !w.posted {
			w.posted = true
			w.mu.Unlock()
			w.ref.conn.loop.Post(&w.task) // runs it at once when the loop has ended
			w.mu.Lock()
		}
	}
	if n < len(p) {
		return n, w.err
	}
	return n, nil
}

// Flush waits until all that was written is in the connection's output, so that
// what the loop writes afterwards comes behind it.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.err == nil && w.posted {
		w.wait()
	}
	return w.err
}

// wait waits for room; w.mu is held before and after.
func (w *Writer) wait() {
	w.waits = true
	w.mu.Unlock()
	<-w.room
	w.mu.Lock()
}

// wake ends a wait; w.mu is held.
func (w *Writer) wake() {
	if w.waits {
		w.waits = false
		w.room <- struct{}{}
	}
}

// start runs on the loop when there is something to take.
func (w *Writer) start(*Loop) {
	c := w.ref.Conn()
	if c == nil || c.state != stateOpen {
		w.fail(ErrClosed)
		return
	}
	c.writer = w
	w.pump(c)
}

// pump moves on as far as there is room; Drained comes back to it.
func (w *Writer) pump(c *Conn) {
	for w.take() {
		if w.at += c.Write(w.taken[w.at:]); w.at < len(w.taken) {
			return
		}
	}
	c.writer = nil
}

// take has the next piece in taken, unless there is none.
func (w *Writer) take() bool {
	if w.at < len(w.taken) {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taken, w.buf, w.at = w.buf, w.taken[:0], 0
	w.posted = len(w.taken) > 0
	w.wake()
	return w.posted
}

func (w *Writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err, w.buf, w.posted = err, nil, false
	w.wake()
}

func (c *Conn) failWriter(err error) {
	if w := c.writer; w != nil && w.file == nil {
		c.writer = nil
		w.fail(err)
	}
}
