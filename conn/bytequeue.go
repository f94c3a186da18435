//go:build linux

package conn

import "sync"

// byteQueue holds bytes between a loop and a goroutine, in chunks that are
// taken from a pool of the process and go back as soon as they are read: an
// empty queue holds none.
type byteQueue struct {
	head, tail *chunk
	n          int // bytes in the queue
}

type chunk struct {
	next *chunk
	r, w int // mem[r:w] is in use
	mem  [16<<10 - 24]byte
}

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// push appends a copy of p.
func (q *byteQueue) push(p []byte) {
	q.n += len(p)
	for len(p) > 0 {
		if q.tail == nil || q.tail.w == len(q.tail.mem) {
			c := chunks.Get().(*chunk)
			c.next, c.r, c.w = nil, 0, 0
			if q.tail == nil {
				q.head = c
			} else {
				q.tail.next = c
			}
			q.tail = c
		}
		n := copy(q.tail.mem[q.tail.w:], p)
		q.tail.w += n
		p = p[n:]
	}
}

// first returns the first bytes, of any number; nil when the queue is empty.
func (q *byteQueue) first() []byte {
	if q.head == nil {
		return nil
	}
	return q.head.mem[q.head.r:q.head.w]
}

// skip removes n bytes, at most as many as first has returned.
func (q *byteQueue) skip(n int) {
	c := q.head
	q.n -= n
	if c.r += n; c.r < c.w {
		return
	}
	if q.head = c.next; q.head == nil {
		q.tail = nil
	}
	chunks.Put(c)
}

// pop moves bytes to p and returns how many.
func (q *byteQueue) pop(p []byte) int {
	n := 0
	for n < len(p) && q.n > 0 {
		m := copy(p[n:], q.first())
		q.skip(m)
		n += m
	}
	return n
}

// drop removes all.
func (q *byteQueue) drop() {
	for q.n > 0 {
		q.skip(len(q.first()))
	}
}
