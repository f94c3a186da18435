//go:build linux

package fallback

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

const (
	defaultBuffers    = 4096
	maxBuffers        = 32768
	defaultBufferSize = 4096
	minBufferSize     = 64
	maxBufferSize     = 1 << 20
	// firstBuffers is how many are provided at first; the number doubles
	// whenever none is left.
	firstBuffers = 16
)

// buffers are the receive buffers of one driver: one reserved region, of which
// only what was ever used is resident, and a stack of those that are free.
// Last in, first out: the buffer used next is the one still in the cache.
type buffers struct {
	region   []byte // mmapped
	size     int    // of one buffer, in bytes
	limit    int    // the largest number of buffers
	provided int    // how many of the region are in use or on the stack
	free     []ring.BufferID
	taken    []bool // by BufferID-1: with the receiver now
}

func openBuffers(cfg ring.Config) (*buffers, error) {
	b := &buffers{size: cfg.BufferSize, limit: cfg.Buffers}
	if b.limit == 0 {
		b.limit = defaultBuffers
	}
	if b.size == 0 {
		b.size = defaultBufferSize
	}
	if b.limit < 1 || b.limit > maxBuffers || b.limit&(b.limit-1) != 0 {
		return nil, fmt.Errorf("epoll: %d receive buffers: want a power of two from 1 to %d", b.limit, maxBuffers)
	}
	if b.size < minBufferSize || b.size > maxBufferSize {
		return nil, fmt.Errorf("epoll: receive buffers of %d bytes: want %d to %d", b.size, minBufferSize, maxBufferSize)
	}
	region, err := unix.Mmap(-1, 0, b.limit*b.size, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("epoll: mmap of %d receive buffers of %d bytes: %w", b.limit, b.size, err)
	}
	// A huge page would make the first buffer cost 2 MiB of memory.
	_ = unix.Madvise(region, unix.MADV_NOHUGEPAGE)
	b.region = region
	b.free = make([]ring.BufferID, 0, b.limit)
	b.taken = make([]bool, b.limit)
	b.provide(min(firstBuffers, b.limit))
	return b, nil
}

// provide adds n buffers to the stack, the lowest on top.
func (b *buffers) provide(n int) {
	for id := b.provided + n; id > b.provided; id-- {
		b.free = append(b.free, ring.BufferID(id))
	}
	b.provided += n
}

// take pops a buffer, NoBuffer if the receiver has them all. The slice ends
// where the buffer does.
func (b *buffers) take() (ring.BufferID, []byte) {
	if len(b.free) == 0 {
		if b.provided == b.limit {
			return ring.NoBuffer, nil
		}
		b.provide(b.provided) // both are powers of two: never beyond the limit
	}
	last := len(b.free) - 1
	id := b.free[last]
	b.free = b.free[:last]
	b.taken[id-1] = true
	end := int(id) * b.size
	return id, b.region[end-b.size : end : end]
}

func (b *buffers) put(id ring.BufferID) {
	if id == ring.NoBuffer || int(id) > b.limit || !b.taken[id-1] {
		panic(fmt.Sprintf("epoll: buffer %d released, but it is not in use", id))
	}
	b.taken[id-1] = false
	b.free = append(b.free, id)
}

func (b *buffers) inUse() int { return b.provided - len(b.free) }

func (b *buffers) close() error {
	if err := unix.Munmap(b.region); err != nil {
		return fmt.Errorf("epoll: munmap of the receive buffers: %w", err)
	}
	return nil
}
