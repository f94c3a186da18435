//go:build linux

package ring

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setupFlags is the ladder: what a ring of each tier is set up with.
//
// There is no rung with neither COOP_TASKRUN nor DEFER_TASKRUN. Such a ring
// interrupts its thread for every completion and costs twice what epoll does.
var setupFlags = map[Tier]uint32{
	Tier61:  setupSingleIssuer | setupDeferTaskrun,
	Tier60:  setupSingleIssuer | setupCoopTaskrun,
	Tier519: setupCoopTaskrun,
}

// setupAlways: our own size of the CQ, and one bad SQE does not hold up those
// behind it. The ring starts disabled so that it can be restricted.
const setupAlways = setupCQSize | setupRDisabled | setupSubmitAll

// ops are the operations that a driver's ring is restricted to.
var ops = []uint8{opAccept, opRecv, opSend, opConnect, opAsyncCancel, opPollAdd, opOpenat2, opStatx, opRead, opClose}

// rawBatch is how many operations may be submitted by a raw system call, which
// keeps its P. Larger batches take so long that a garbage collection should
// not have to wait for them.
const rawBatch = 256

// ioRing is one io_uring: its file and its shared memory. The thread that set
// it up is the only one that may use it, unless it is movable.
type ioRing struct {
	fd         int
	enterFD    uintptr // fd, or its number among the thread's registered rings
	enterFlags uintptr // goes with enterFD
	registered bool    // the ring's fd is registered
	restricted bool
	flags      uint32 // IORING_SETUP_*
	features   uint32 // IORING_FEAT_*
	enters     uint64

	sq      submissionQueue
	cq      completionQueue
	scratch *scratch

	mapped  [][]byte // the kernel's memory
	private []byte   // ours: scratch
}

// newRing sets a ring up, registers buffers (which may be nil), restricts the
// ring to the operations allowed, and enables it.
func newRing(cfg Config, tier Tier, buffers *bufferRing, allowed []uint8) (*ioRing, error) {
	memory, err := mapMemory(int(unsafe.Sizeof(scratch{})))
	if err != nil {
		return nil, err
	}
	r := &ioRing{fd: -1, private: memory, scratch: (*scratch)(unsafe.Pointer(&memory[0]))}
	flags := setupFlags[tier]
	if cfg.Movable {
		flags = setupCoopTaskrun
	}
	if err := r.setUp(cfg.Entries, cfg.CQEntries, flags|setupAlways); err != nil {
		_ = r.close()
		return nil, err
	}
	if err := r.enable(buffers, allowed, cfg.Movable); err != nil {
		_ = r.close()
		return nil, err
	}
	return r, nil
}

func (r *ioRing) setUp(entries, cqEntries int, flags uint32) error {
	p := &r.scratch.params
	*p = setupParams{flags: flags, cqEntries: uint32(cqEntries)}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(p)), 0)
	if errno != 0 {
		return &stepError{step: "io_uring_setup", errno: errno}
	}
	r.fd = int(fd) // close-on-exec: io_uring_setup makes it so
	r.enterFD = fd
	r.flags, r.features = p.flags, p.features
	// Both have been there since long before the lowest tier.
	if need := uint32(featNoDrop | featExtArg); p.features&need != need {
		return &stepError{step: "io_uring_setup without FEAT_NODROP and FEAT_EXT_ARG", errno: unix.EINVAL}
	}
	return r.mapQueues(p)
}

// mapQueues maps the rings: in one piece where the kernel says so.
func (r *ioRing) mapQueues(p *setupParams) error {
	sqSize := int(p.sqOff.array) + int(p.sqEntries)*4
	cqSize := int(p.cqOff.cqes) + int(p.cqEntries)*int(unsafe.Sizeof(cqe{}))
	single := p.features&featSingleMmap != 0
	if single {
		sqSize = max(sqSize, cqSize)
	}
	sqRing, err := r.mapRing(offSQRing, sqSize)
	if err != nil {
		return err
	}
	cqRing := sqRing
	if !single {
		if cqRing, err = r.mapRing(offCQRing, cqSize); err != nil {
			return err
		}
	}
	sqes, err := r.mapRing(offSQEs, int(p.sqEntries)*int(unsafe.Sizeof(sqe{})))
	if err != nil {
		return err
	}
	// Entry i of the SQ's indirection is SQE i, now and for ever.
	array := unsafe.Slice(word(sqRing, p.sqOff.array), p.sqEntries)
	for i := range array {
		array[i] = uint32(i)
	}
	r.sq = submissionQueue{
		head: word(sqRing, p.sqOff.head),
		tail: word(sqRing, p.sqOff.tail),
		sqes: unsafe.Slice((*sqe)(unsafe.Pointer(&sqes[0])), p.sqEntries),
		mask: *word(sqRing, p.sqOff.ringMask),
	}
	r.cq = completionQueue{
		head: word(cqRing, p.cqOff.head),
		tail: word(cqRing, p.cqOff.tail),
		cqes: unsafe.Slice((*cqe)(unsafe.Pointer(&cqRing[p.cqOff.cqes])), p.cqEntries),
		mask: *word(cqRing, p.cqOff.ringMask),
	}
	return nil
}

func (r *ioRing) mapRing(offset int64, size int) ([]byte, error) {
	p, err := unix.Mmap(r.fd, offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, &stepError{step: "mmap of the rings", errno: errnoOf(err)}
	}
	_ = unix.Madvise(p, unix.MADV_DONTFORK)
	r.mapped = append(r.mapped, p)
	return p, nil
}

func word(p []byte, offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&p[offset])) }

// enable registers what there is to register, while that is still allowed, and
// enables the ring for this thread.
func (r *ioRing) enable(buffers *bufferRing, allowed []uint8, movable bool) error {
	s := r.scratch
	if buffers != nil {
		buffers.describe(&s.buffers)
		if _, errno := r.register(registerPbufRing, unsafe.Pointer(&s.buffers), 1); errno != 0 {
			return &stepError{step: stepBufferRing, errno: errno}
		}
	}
	// A registered ring fd saves looking the file up in each enter. It is
	// registered with the thread, and taken back in close. Registering goes by
	// the real fd, here and there: kernels before 6.3 want it so.
	if !movable {
		s.ringFD = rsrcUpdate{offset: ^uint32(0), data: uint64(r.fd)}
		if n, errno := r.register(registerRingFDs, unsafe.Pointer(&s.ringFD), 1); errno == 0 && n == 1 {
			r.registered = true
			r.enterFD, r.enterFlags = uintptr(s.ringFD.offset), enterRegisteredRing
		}
	}
	list := append(s.restrictions[:0],
		restriction{opcode: restrictSQEFlagsAllowed, value: sqeBufferSelect},
		restriction{opcode: restrictRegisterOp, value: unregisterRingFDs})
	for _, op := range allowed {
		list = append(list, restriction{opcode: restrictSQEOp, value: op})
	}
	_, errno := r.register(registerRestrictions, unsafe.Pointer(&s.restrictions[0]), len(list))
	if verdictOf(errno) == fail {
		return &stepError{step: "io_uring_register(RESTRICTIONS)", errno: errno}
	}
	r.restricted = errno == 0 // a further line of defence: serve without it, and tell (Features)
	if _, errno := r.register(registerEnableRings, nil, 0); errno != 0 {
		return &stepError{step: "io_uring_register(ENABLE_RINGS)", errno: errno}
	}
	return nil
}

func (r *ioRing) register(op uintptr, arg unsafe.Pointer, n int) (int, syscall.Errno) {
	v, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), op, uintptr(arg), uintptr(n), 0, 0)
	return int(v), errno
}

// submit hands n published SQEs to the kernel and lets it post what has
// completed. It never waits, and so goes by the raw system call.
func (r *ioRing) submit(n uint32) (consumed int, errno syscall.Errno) {
	r.enters++
	r.cq.release()
	var v uintptr
	if n <= rawBatch {
		v, _, errno = unix.RawSyscall6(unix.SYS_IO_URING_ENTER, r.enterFD, uintptr(n), 0,
			enterGetEvents|r.enterFlags, 0, 0)
	} else {
		v, _, errno = unix.Syscall6(unix.SYS_IO_URING_ENTER, r.enterFD, uintptr(n), 0,
			enterGetEvents|r.enterFlags, 0, 0)
	}
	if errno != 0 {
		return 0, errno
	}
	return int(v), 0
}

// wait waits for one completion, for timeout at most; negative: without limit.
func (r *ioRing) wait(timeout time.Duration) syscall.Errno {
	r.enters++
	r.cq.release()
	s := r.scratch
	s.arg = getEventsArg{}
	if timeout >= 0 {
		s.timeout = kernelTimespec{sec: int64(timeout / time.Second), nsec: int64(timeout % time.Second)}
		s.arg.ts = uint64(uintptr(unsafe.Pointer(&s.timeout)))
	}
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, r.enterFD, 0, 1,
		enterGetEvents|enterExtArg|r.enterFlags, uintptr(unsafe.Pointer(&s.arg)), unsafe.Sizeof(s.arg))
	return errno
}

// close gives everything back. Nothing may be in flight.
func (r *ioRing) close() error {
	var err error
	if r.registered {
		// A registered ring lives on until its thread ends.
		r.scratch.ringFD = rsrcUpdate{offset: uint32(r.enterFD)}
		if n, errno := r.register(unregisterRingFDs, unsafe.Pointer(&r.scratch.ringFD), 1); n != 1 {
			err = fmt.Errorf("io_uring_register(UNREGISTER_RING_FDS): %w", errno)
		}
	}
	for _, p := range r.mapped {
		unix.Munmap(p)
	}
	if r.fd >= 0 {
		unix.Close(r.fd)
	}
	unix.Munmap(r.private)
	return err
}
