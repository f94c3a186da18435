//go:build linux

package ring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// sqe is struct io_uring_sqe: one operation on its way to the kernel.
//
// Each prepare method assigns the whole structure, so that nothing of the
// slot's last use is left in it.
type sqe struct {
	opcode     uint8
	flags      uint8  // IOSQE_*
	ioprio     uint16 // for sockets: flags of the operation
	fd         int32
	off        uint64 // or addr2
	addr       uint64
	len        uint32
	opFlags    uint32 // msg_flags, accept_flags, cancel_flags, poll32_events
	userData   uint64
	bufGroup   uint16 // or buf_index
	_          uint16 // personality
	spliceFrom int32  // splice_fd_in, or file_index
	_          uint64 // addr3
	_          uint64
}

func (e *sqe) prepareNop(userData uint64) {
	*e = sqe{opcode: opNop, fd: -1, userData: userData}
}

// prepareAccept accepts connections from the listening socket fd until it is
// cancelled or fails. The peers' addresses are not asked for: a multishot
// accept would write them all to one place.
func (e *sqe) prepareAccept(fd int, userData uint64) {
	*e = sqe{
		opcode:   opAccept,
		fd:       int32(fd),
		ioprio:   acceptMultishot,
		opFlags:  unix.SOCK_CLOEXEC,
		userData: userData,
	}
}

// prepareReceive receives at most length bytes, once, into a buffer of group 0.
func (e *sqe) prepareReceive(fd int, length uint32, userData uint64) {
	*e = sqe{
		opcode:   opRecv,
		flags:    sqeBufferSelect,
		fd:       int32(fd),
		len:      length,
		userData: userData,
	}
}

// prepareReceiveMultishot receives again and again, each time into a buffer of
// group 0. The length must be zero: it is the buffer's.
func (e *sqe) prepareReceiveMultishot(fd int, userData uint64) {
	*e = sqe{
		opcode:   opRecv,
		flags:    sqeBufferSelect,
		ioprio:   recvMultishot,
		fd:       int32(fd),
		userData: userData,
	}
}

// prepareSend sends p, all of it unless the connection fails or the send is
// cancelled: with MSG_WAITALL the kernel goes on after a short send.
func (e *sqe) prepareSend(fd int, p []byte, userData uint64) {
	*e = sqe{
		opcode:   opSend,
		fd:       int32(fd),
		addr:     uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p)))),
		len:      uint32(min(len(p), sendMax)),
		opFlags:  unix.MSG_WAITALL | unix.MSG_NOSIGNAL,
		userData: userData,
	}
}

// sendMax bounds a send: results are 32-bit and signed.
const sendMax = 1 << 30

// prepareConnect connects the socket fd to the struct sockaddr in addr.
func (e *sqe) prepareConnect(fd int, addr []byte, userData uint64) {
	*e = sqe{
		opcode:   opConnect,
		fd:       int32(fd),
		off:      uint64(len(addr)),
		addr:     uint64(uintptr(unsafe.Pointer(unsafe.SliceData(addr)))),
		userData: userData,
	}
}

// prepareCancel cancels the operation whose user_data is target.
func (e *sqe) prepareCancel(target, userData uint64) {
	*e = sqe{opcode: opAsyncCancel, fd: -1, addr: target, userData: userData}
}

// prepareCancelAll cancels everything in flight.
func (e *sqe) prepareCancelAll(userData uint64) {
	*e = sqe{opcode: opAsyncCancel, fd: -1, opFlags: cancelAll | cancelAny, userData: userData}
}

// preparePollMultishot reports each time that fd becomes readable.
func (e *sqe) preparePollMultishot(fd int, userData uint64) {
	*e = sqe{opcode: opPollAdd, fd: int32(fd), len: pollAddMulti, opFlags: pollEvents(unix.POLLIN), userData: userData}
}

// prepareWritable reports once that fd takes something to send.
func (e *sqe) prepareWritable(fd int, userData uint64) {
	*e = sqe{opcode: opPollAdd, fd: int32(fd), opFlags: pollEvents(unix.POLLOUT), userData: userData}
}

func pollEvents(events uint32) uint32 {
	if bigEndian {
		return events<<16 | events>>16 // poll32_events is word-reversed
	}
	return events
}

func (e *sqe) prepareClose(fd int, userData uint64) {
	*e = sqe{opcode: opClose, fd: int32(fd), userData: userData}
}

// bigEndian tells the machine's byte order.
var bigEndian = func() bool {
	one := uint16(1)
	return *(*byte)(unsafe.Pointer(&one)) == 0
}()
