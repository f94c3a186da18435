//go:build linux

package conn

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Send buffers come from slabs of mmapped memory, outside the Go heap, so
// that the kernel may read them while the garbage collector runs. There are
// three sizes: most answers fit into the tiny or the small one (the denser they
// lie, the fewer pages a turn touches), and a long body goes out in large ones. Slabs that were wholly free for a while are unmapped, but one, so
// that memory follows the load both ways; not at once, for a loop may need and
// free thousands of buffers each turn.
const (
	slabSize  = 1 << 20
	tinySize  = 4 << 10
	smallSize = 16 << 10
	largeSize = 68 << 10 // a piece of a file and a head before it
)

// sendBuf is a buffer with mem[r:w] waiting to be sent.
type sendBuf struct {
	next *sendBuf
	slab *slab
	mem  []byte
	r, w int
}

type slab struct {
	prev, next *slab // in the arena's list of slabs with a free buffer
	mem        []byte
	free       *sendBuf
	nfree      int
	bufs       []sendBuf
}

// arena hands out the buffers of one size.
type arena struct {
	bufSize  int
	maxSlabs int
	slabs    int
	empty    int   // slabs that are wholly free
	unused   int   // the least that empty has been since the last trim
	partial  *slab // slabs with at least one free buffer
}

// get returns an empty buffer, or nil when the arena is at its limit or the
// kernel has no memory: the caller waits for one to come back.
func (a *arena) get() *sendBuf {
	s := a.partial
	if s == nil {
		if s = a.grow(); s == nil {
			return nil
		}
	}
	if s.nfree == len(s.bufs) {
		a.empty--
		a.unused = min(a.unused, a.empty)
	}
	b := s.free
	s.free = b.next
	if s.nfree--; s.nfree == 0 {
		a.unlink(s)
	}
	b.next, b.r, b.w = nil, 0, 0
	return b
}

func (a *arena) put(b *sendBuf) {
	s := b.slab
	b.next = s.free
	s.free = b
	if s.nfree++; s.nfree == 1 {
		a.link(s)
	}
	if s.nfree == len(s.bufs) {
		a.empty++
	}
}

// trim unmaps the slabs that nobody has needed since the last trim, but one.
func (a *arena) trim() {
	for s := a.partial; s != nil && a.unused > 1; {
		next := s.next
		if s.nfree == len(s.bufs) {
			a.drop(s)
			a.unused--
		}
		s = next
	}
	a.unused = a.empty
}

func (a *arena) grow() *slab {
	if a.slabs >= a.maxSlabs {
		return nil
	}
	mem, err := unix.Mmap(-1, 0, slabSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil
	}
	s := &slab{mem: mem, bufs: make([]sendBuf, slabSize/a.bufSize)}
	for i := range s.bufs {
		b := &s.bufs[i]
		b.slab, b.mem = s, mem[i*a.bufSize:(i+1)*a.bufSize:(i+1)*a.bufSize]
		b.next, s.free = s.free, b
	}
	s.nfree = len(s.bufs)
	a.slabs++
	a.empty++
	a.link(s)
	return s
}

func (a *arena) drop(s *slab) {
	a.unlink(s)
	a.slabs--
	a.empty--
	if err := unix.Munmap(s.mem); err != nil {
		panic(fmt.Sprintf("conn: munmap of a slab: %v", err)) // our own bookkeeping is broken
	}
	s.mem, s.bufs, s.free = nil, nil, nil
}

// close unmaps all slabs; every buffer must have come back.
func (a *arena) close() {
	for a.partial != nil {
		a.drop(a.partial)
	}
}

func (a *arena) link(s *slab) {
	s.prev, s.next = nil, a.partial
	if s.next != nil {
		s.next.prev = s
	}
	a.partial = s
}

func (a *arena) unlink(s *slab) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		a.partial = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	s.prev, s.next = nil, nil
}

// inputPool keeps the Go-heap buffers for input that could not be consumed at
// once (a head that arrives in pieces). They are powers of two, and few:
// partial input is rare and short-lived.
type inputPool struct {
	free [maxInputClass + 1][][]byte
}

const (
	minInputClass = 10 // 1 KiB
	maxInputClass = 20 // 1 MiB; larger ones are left to the collector
	inputsKept    = 16 // of each size
)

func inputClass(n int) int {
	c := minInputClass
	for 1<<c < n {
		c++
	}
	return c
}

func (p *inputPool) get(n int) []byte {
	c := inputClass(n)
	if c <= maxInputClass {
		if k := len(p.free[c]); k > 0 {
			b := p.free[c][k-1]
			p.free[c][k-1] = nil
			p.free[c] = p.free[c][:k-1]
			return b[:0]
		}
	}
	return make([]byte, 0, 1<<c)
}

func (p *inputPool) put(b []byte) {
	c := inputClass(cap(b))
	if cap(b) == 1<<c && c <= maxInputClass && len(p.free[c]) < inputsKept {
		p.free[c] = append(p.free[c], b[:0])
	}
}
