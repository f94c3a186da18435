//go:build linux

package ring

import "sync/atomic"

// cqe is struct io_uring_cqe: one completion.
type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

// completionQueue is our side of the CQ: the kernel writes CQEs and the tail,
// we read them and move the head. Both ends are kept locally and exchanged
// once per batch.
type completionQueue struct {
	head, tail *uint32 // shared
	cqes       []cqe   // shared
	mask       uint32

	next uint32 // the first CQE that was not taken
	end  uint32 // the tail as last loaded
	told uint32 // the head as last stored
}

// take copies the next completion and reports whether there was one, among
// those that were there when empty was last called: a turn has an end, however
// fast the kernel adds to it, and what the turn says (stop that receive) gets
// to the kernel.
func (q *completionQueue) take(c *cqe) bool {
	if q.next == q.end {
		return false
	}
	*c = q.cqes[q.next&q.mask]
	q.next++
	return true
}

// empty reports whether there is nothing to take. It gives the kernel back
// what was taken and looks at what has come since.
func (q *completionQueue) empty() bool {
	q.release()
	if q.next == q.end {
		// Acquire: the CQEs up to the tail are written before it.
		q.end = atomic.LoadUint32(q.tail)
	}
	return q.next == q.end
}

// release gives the kernel back the CQEs that were taken. Release order: they
// have been read before they may be written again.
func (q *completionQueue) release() {
	if q.told != q.next {
		q.told = q.next
		atomic.StoreUint32(q.head, q.next)
	}
}
