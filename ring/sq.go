//go:build linux

package ring

import "sync/atomic"

// submissionQueue is our side of the SQ: we write SQEs and the tail, the kernel
// reads them and moves the head.
//
// Without IORING_SETUP_SQPOLL the kernel looks at the queue within
// io_uring_enter only. The tail is still stored with release and the head
// loaded with acquire order, as the interface asks for.
type submissionQueue struct {
	head, tail *uint32 // shared
	sqes       []sqe   // shared
	mask       uint32

	next uint32 // the tail with what has not been published
	seen uint32 // the head as last loaded: no atomic per SQE
}

// take returns the next free SQE, to be prepared at once, or nil: full.
func (q *submissionQueue) take() *sqe {
	if q.next-q.seen == uint32(len(q.sqes)) {
		q.seen = atomic.LoadUint32(q.head)
		if q.next-q.seen == uint32(len(q.sqes)) {
			return nil
		}
	}
	e := &q.sqes[q.next&q.mask]
	q.next++
	return e
}

// publish shows the kernel what was taken and returns how much it has yet to
// consume.
func (q *submissionQueue) publish() uint32 {
	if q.next == q.seen {
		return 0
	}
	atomic.StoreUint32(q.tail, q.next)
	q.seen = atomic.LoadUint32(q.head)
	return q.next - q.seen
}

// discard takes back what the kernel has not consumed and returns how much
// that was.
func (q *submissionQueue) discard() uint32 {
	q.seen = atomic.LoadUint32(q.head)
	n := q.next - q.seen
	q.next = q.seen
	atomic.StoreUint32(q.tail, q.next)
	return n
}
