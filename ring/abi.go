//go:build linux

package ring

import "golang.org/x/sys/unix"

// The kernel's numbers and structures that we use, by its own names in
// linux/io_uring.h, as far as golang.org/x/sys does not have them.

// Operations (enum io_uring_op).
const (
	opNop         = 0
	opPollAdd     = 6
	opAccept      = 13
	opAsyncCancel = 14
	opConnect     = 16
	opClose       = 19
	opStatx       = 21
	opRead        = 22
	opSend        = 26
	opRecv        = 27
	opOpenat2     = 28
)

// Flags of an SQE and of its operation.
const (
	sqeBufferSelect = 1 << 5 // IOSQE_BUFFER_SELECT

	pollAddMulti    = 1 << 0 // IORING_POLL_ADD_MULTI, in len
	cancelAll       = 1 << 0 // IORING_ASYNC_CANCEL_ALL, in opFlags
	cancelAny       = 1 << 2 // IORING_ASYNC_CANCEL_ANY, in opFlags
	recvMultishot   = 1 << 1 // IORING_RECV_MULTISHOT, in ioprio
	acceptMultishot = 1 << 0 // IORING_ACCEPT_MULTISHOT, in ioprio
)

// Flags of a CQE.
const (
	cqeBuffer      = 1 << 0 // IORING_CQE_F_BUFFER
	cqeMore        = 1 << 1 // IORING_CQE_F_MORE
	cqeBufferShift = 16     // IORING_CQE_BUFFER_SHIFT
)

// Flags of io_uring_enter and offsets of its mappings.
const (
	enterGetEvents      = 1 << 0 // IORING_ENTER_GETEVENTS
	enterExtArg         = 1 << 3 // IORING_ENTER_EXT_ARG
	enterRegisteredRing = 1 << 4 // IORING_ENTER_REGISTERED_RING

	offSQRing = 0          // IORING_OFF_SQ_RING
	offCQRing = 0x8000000  // IORING_OFF_CQ_RING
	offSQEs   = 0x10000000 // IORING_OFF_SQES
)

// Commands of io_uring_register.
const (
	registerRestrictions = 11
	registerEnableRings  = 12
	registerRingFDs      = 20
	unregisterRingFDs    = 21
	registerPbufRing     = 22
)

// Kinds of restriction.
const (
	restrictRegisterOp      = 0 // IORING_RESTRICTION_REGISTER_OP
	restrictSQEOp           = 1 // IORING_RESTRICTION_SQE_OP
	restrictSQEFlagsAllowed = 2 // IORING_RESTRICTION_SQE_FLAGS_ALLOWED
)

// sqRingOffsets is struct io_sqring_offsets.
type sqRingOffsets struct {
	head, tail, ringMask, ringEntries, flags, dropped, array, resv1 uint32
	userAddr                                                        uint64
}

// cqRingOffsets is struct io_cqring_offsets.
type cqRingOffsets struct {
	head, tail, ringMask, ringEntries, overflow, cqes, flags, resv1 uint32
	userAddr                                                        uint64
}

// setupParams is struct io_uring_params.
type setupParams struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	resv                                                                   [3]uint32
	sqOff                                                                  sqRingOffsets
	cqOff                                                                  cqRingOffsets
}

// getEventsArg is struct io_uring_getevents_arg.
type getEventsArg struct {
	sigmask     uint64
	sigmaskSize uint32
	minWaitUsec uint32
	ts          uint64
}

// kernelTimespec is struct __kernel_timespec: 64 bits everywhere.
type kernelTimespec struct{ sec, nsec int64 }

// restriction is struct io_uring_restriction.
type restriction struct {
	opcode uint16
	value  uint8 // register_op, sqe_op or sqe_flags
	resv   uint8
	resv2  [3]uint32
}

// rsrcUpdate is struct io_uring_rsrc_update.
type rsrcUpdate struct {
	offset, resv uint32
	data         uint64
}

// bufReg is struct io_uring_buf_reg.
type bufReg struct {
	ringAddr    uint64
	ringEntries uint32
	bgid, flags uint16
	resv        [3]uint64
}

// bufEntry is struct io_uring_buf. In the first entry of a buffer ring, resv
// is the ring's tail.
type bufEntry struct {
	addr uint64
	len  uint32
	bid  uint16
	resv uint16
}

// scratch is the memory of what the kernel reads and writes in system calls.
// It is mapped, so that nothing of Go's heap or stacks is ever known to the
// kernel.
type scratch struct {
	params       setupParams
	arg          getEventsArg
	timeout      kernelTimespec
	ringFD       rsrcUpdate
	buffers      bufReg
	restrictions [16]restriction
	name         unix.RawSockaddrAny
	nameLen      uint32
}
