//go:build linux

package httpcore

import "sync/atomic"

// jobRing is a bounded queue with one producer, the loop, and many consumers,
// without locks. Each slot has a sequence number that says whose turn it is:
// position for the producer, position+1 for a consumer (after Dmitry Vyukov's
// bounded queue).
type jobRing struct {
	slots []jobSlot
	tail  uint64 // the producer's
	_     [56]byte
	head  atomic.Uint64
}

type jobSlot struct {
	turn atomic.Uint64
	x    *exchange
}

const jobRingSize = 4096 // a power of two

func (r *jobRing) init() {
	r.slots = make([]jobSlot, jobRingSize)
	for i := range r.slots {
		r.slots[i].turn.Store(uint64(i))
	}
}

// push adds x; false when the ring is full. For the loop.
func (r *jobRing) push(x *exchange) bool {
	s := &r.slots[r.tail%jobRingSize]
	if s.turn.Load() != r.tail {
		return false
	}
	s.x = x
	s.turn.Store(r.tail + 1)
	r.tail++
	return true
}

// pop takes the oldest job, nil for none. For any goroutine.
func (r *jobRing) pop() *exchange {
	for {
		at := r.head.Load()
		s := &r.slots[at%jobRingSize]
		switch turn := s.turn.Load(); {
		case turn == at+1:
			if r.head.CompareAndSwap(at, at+1) {
				x := s.x
				s.x = nil
				s.turn.Store(at + jobRingSize)
				return x
			}
		case turn < at+1:
			return nil
		}
	}
}

// empty reports whether pop would find nothing now.
func (r *jobRing) empty() bool {
	for {
		at := r.head.Load()
		if r.slots[at%jobRingSize].turn.Load() == at+1 {
			return false
		}
		if r.head.Load() == at {
			return true
		}
	}
}
