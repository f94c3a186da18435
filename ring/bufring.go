//go:build linux

package ring

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bufferGroup is the one buffer group that we register.
const bufferGroup = 0

// buffersAtStart is how many buffers a ring starts with. The kernel goes
// through all that it was given in turn, so each of them becomes resident
// however low the load is.
const buffersAtStart = 64

// bufferRing is a provided buffer ring (Linux 5.19, io_uring_register(2),
// IORING_REGISTER_PBUF_RING) with the buffers it provides. Buffers are given
// to the kernel by writing an entry and moving the tail; a receive's CQE says
// which one the kernel took.
type bufferRing struct {
	entries []bufEntry // shared; the kernel reads
	memory  []byte     // the buffers, one after the other
	size    int        // of one buffer
	mask    uint16

	tail      uint16  // with what has not been published
	published uint16  // the tail that the kernel knows
	firstID   uint16  // bid of entries[0], see publish
	tailWord  *uint32 // bid and resv of entries[0]

	provided int  // buffers that were ever given to the kernel
	inUse    int  // buffers with the receiver
	grown    bool // since the last publish

	mapped []byte // entries
}

// newBufferRing maps the ring and its buffers; count is a power of two.
func newBufferRing(count, size int) (*bufferRing, error) {
	mapped, err := mapMemory(count * int(unsafe.Sizeof(bufEntry{})))
	if err != nil {
		return nil, err
	}
	memory, err := mapMemory(count * size)
	if err != nil {
		unix.Munmap(mapped)
		return nil, err
	}
	// Huge pages would make 2 MiB resident for the first byte.
	_ = unix.Madvise(memory, unix.MADV_NOHUGEPAGE)
	entries := unsafe.Slice((*bufEntry)(unsafe.Pointer(&mapped[0])), count)
	return &bufferRing{
		entries:  entries,
		memory:   memory,
		size:     size,
		mask:     uint16(count - 1),
		tailWord: (*uint32)(unsafe.Pointer(&entries[0].bid)),
		mapped:   mapped,
	}, nil
}

// unmap gives the memory back. The kernel must not know it any more.
func (b *bufferRing) unmap() {
	unix.Munmap(b.mapped)
	unix.Munmap(b.memory)
}

// describe fills in how the ring is registered.
func (b *bufferRing) describe(reg *bufReg) {
	*reg = bufReg{
		ringAddr:    uint64(uintptr(unsafe.Pointer(&b.entries[0]))),
		ringEntries: uint32(len(b.entries)),
		bgid:        bufferGroup,
	}
}

// put gives a buffer to the kernel, which learns of it with the next publish.
// Its entry is free: there are as many entries as buffers, so the buffer that
// was in it last has been taken by the kernel.
func (b *bufferRing) put(id uint16) {
	i := b.tail & b.mask
	entry := &b.entries[i]
	entry.addr = uint64(uintptr(unsafe.Pointer(&b.memory[int(id)*b.size])))
	entry.len = uint32(b.size)
	if i == 0 {
		b.firstID = id
	} else {
		entry.bid = id
	}
	b.tail++
}

// publish moves the tail that the kernel sees.
//
// The tail is 16 bits wide and must be stored with release order, after the
// entries before it; Go has no such store. But the tail lies in the upper half
// of an aligned 32-bit word whose other half is bid of the first entry, and
// both are written by us alone: the kernel only reads. So the word is kept
// here in two halves and is always stored whole, by an atomic 32-bit store
// (XCHG on amd64, STLR on arm64). The store cannot clobber a bid, as firstID
// is what belongs there: either unchanged, or the new one of an entry that the
// kernel must not read before it sees this very tail. Nothing else ever writes
// entries[0].bid, so that there is no second, plain store to be reordered.
func (b *bufferRing) publish() {
	b.grown = false
	if b.tail == b.published {
		return
	}
	halves := [2]uint16{b.firstID, b.tail} // in memory order, whatever the byte order
	atomic.StoreUint32(b.tailWord, *(*uint32)(unsafe.Pointer(&halves)))
	b.published = b.tail
}

// grow gives the kernel as many buffers as it had so far, at most all.
func (b *bufferRing) grow() {
	more := max(b.provided, min(buffersAtStart, len(b.entries)))
	for range min(more, len(b.entries)-b.provided) {
		b.put(uint16(b.provided))
		b.provided++
	}
}

// taken returns the n bytes that the kernel received into a buffer, which is
// the receiver's from now on.
func (b *bufferRing) taken(id uint16, n int) ([]byte, BufferID) {
	b.inUse++
	at := int(id) * b.size
	return b.memory[at : at+n : at+n], BufferID(id) + 1
}

// release takes a buffer back from the receiver.
func (b *bufferRing) release(id BufferID) {
	if id == NoBuffer || int(id) > b.provided || b.inUse == 0 {
		return // not one of ours
	}
	b.inUse--
	b.put(uint16(id - 1))
}

// ranOut says what a receive which found no buffer reports: EAGAIN when it may
// try again at once, since more buffers were provided or some have come back
// meanwhile; ENOBUFS when all are with the receiver, so that one is sure to
// come back. To a greedy receive, which took most of them itself, no more are
// provided unless the receiver keeps them: it waits for what its connection can
// hold.
func (b *bufferRing) ranOut(greedy bool) syscall.Errno {
	if b.grown {
		return unix.EAGAIN // from before the growth: one doubling is enough
	}
	if b.provided < len(b.entries) && (!greedy || b.inUse == b.provided) {
		b.grow()
		b.grown = true
		return unix.EAGAIN
	}
	if b.inUse < b.provided {
		return unix.EAGAIN
	}
	return unix.ENOBUFS
}

// mapMemory maps n bytes of zeroes, resident once touched, not inherited by a
// forked child.
func mapMemory(n int) ([]byte, error) {
	p, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, &stepError{step: "mmap", errno: errnoOf(err)}
	}
	_ = unix.Madvise(p, unix.MADV_DONTFORK)
	return p, nil
}
