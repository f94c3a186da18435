package ring

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// openFlags: not to wait for the other end of a FIFO, and not to make a terminal
// ours. Regular files ignore O_NONBLOCK, but see Opened.
const openFlags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_LARGEFILE

// Opened puts a file that was opened by an OpenRequest into blocking mode: a
// read by io_uring from a file system that cannot promise not to wait (overlayfs)
// would fail with EAGAIN otherwise. It is for drivers.
func Opened(fd int) {
	_, _, _ = unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETFL, 0)
}

// Do makes the call itself, with further RESOLVE_* flags of openat2(2). It may
// wait. It is for drivers, as is Stat.Do.
func (r *OpenRequest) Do(dir int, resolve uint64) (fd int, errno syscall.Errno) {
	asked := r.resolve
	r.resolve |= resolve
	n, _, errno := unix.Syscall6(unix.SYS_OPENAT2, uintptr(dir), uintptr(unsafe.Pointer(&r.path)),
		uintptr(unsafe.Pointer(r)), sizeofOpenHow, 0, 0)
	r.resolve = asked
	if errno != 0 {
		return -1, errno
	}
	Opened(int(n))
	return int(n), 0
}

// Path returns the path that Set was given.
func (r *OpenRequest) Path() string { return unix.ByteSliceToString(r.path[:]) }

// Beneath reports what Set was given.
func (r *OpenRequest) Beneath() bool { return r.resolve&resolveBeneath != 0 }

// Do makes the call itself. It takes what the system knows and asks no server
// for it (AT_STATX_DONT_SYNC): opening the file has done so.
func (s *Stat) Do(fd int) syscall.Errno {
	s.empty[0] = 0
	_, _, errno := unix.Syscall6(unix.SYS_STATX, uintptr(fd), uintptr(unsafe.Pointer(&s.empty)),
		unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, statMask, uintptr(unsafe.Pointer(&s.raw)), 0)
	return errno
}

// prepareOpen opens what r names below the directory dir.
func (e *sqe) prepareOpen(dir int, r *OpenRequest, userData uint64) {
	*e = sqe{
		opcode:   opOpenat2,
		fd:       int32(dir),
		off:      uint64(uintptr(unsafe.Pointer(r))),
		addr:     uint64(uintptr(unsafe.Pointer(&r.path))),
		len:      sizeofOpenHow,
		userData: userData,
	}
}

const sizeofOpenHow = 24

// prepareStat asks for what is known of the open file fd.
func (e *sqe) prepareStat(fd int, s *Stat, userData uint64) {
	s.empty[0] = 0
	*e = sqe{
		opcode:   opStatx,
		fd:       int32(fd),
		off:      uint64(uintptr(unsafe.Pointer(&s.raw))),
		addr:     uint64(uintptr(unsafe.Pointer(&s.empty))),
		len:      statMask,
		opFlags:  unix.AT_EMPTY_PATH,
		userData: userData,
	}
}

// prepareRead reads into p, from offset on.
func (e *sqe) prepareRead(fd int, p []byte, offset int64, userData uint64) {
	*e = sqe{
		opcode:   opRead,
		fd:       int32(fd),
		off:      uint64(offset),
		addr:     uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p)))),
		len:      uint32(min(len(p), sendMax)),
		userData: userData,
	}
}

var _ Files = (*Uring)(nil)

// Open implements Files.
func (u *Uring) Open(dir int, t Token, r *OpenRequest) {
	u.next().prepareOpen(dir, r, userData(t, OpOpen))
}

// Stat implements Files. The kernel has a worker thread of its own do it.
func (u *Uring) Stat(fd int, t Token, s *Stat) {
	u.next().prepareStat(fd, s, userData(t, OpStat))
}

// Read implements Files. What is in the page cache is read at once.
func (u *Uring) Read(fd int, t Token, p []byte, offset int64) {
	u.next().prepareRead(fd, p, offset, userData(t, OpRead))
}

// CloseFile implements Files.
func (u *Uring) CloseFile(fd int) { u.next().prepareClose(fd, userDataClose|uint64(fd)<<8) }
