package ring

import (
	"encoding/binary"
	"io/fs"
	"syscall"
	"time"
)

// Files is implemented by a Driver that opens and reads regular files without
// its owner having to wait for the disk. Like Driver's its methods belong to the
// owner's goroutine, and what goes wrong is the result of a completion. Tokens
// are the caller's; one Token may have one operation of each Op in flight.
//
// Driver.Cancel ends these operations too (with fd -1): by ECANCELED or by what
// came first. Also where nobody asked for it, ECANCELED, EINTR and EAGAIN mean
// that the operation is to be started again: a Mover has moved, a path was
// renamed under openat2(2).
type Files interface {
	// Open opens the file that r names, below the directory dir (an open
	// directory, or AtCWD for the working directory). The event's N is the new
	// descriptor (close-on-exec, in blocking mode), which is the receiver's, to
	// be given to CloseFile. r must stay unchanged until the event.
	Open(dir int, t Token, r *OpenRequest)

	// Stat fills in s from the open file fd. s is valid after an event without
	// error, and is the driver's until then.
	Stat(fd int, t Token, s *Stat)

	// Read reads at most len(p) bytes from offset on. The event's N says how
	// many; fewer than asked is possible anywhere, 0 means the end of the file.
	// p must lie outside the Go heap, and is the driver's until the event.
	Read(fd int, t Token, p []byte, offset int64)

	// CloseFile closes a file. No event follows. The last completion of every
	// operation on it must have been taken.
	CloseFile(fd int)
}

// AtCWD stands for the working directory (AT_FDCWD of openat(2)).
const AtCWD = -100

// PathMax is the room for a path in an OpenRequest: 4095 bytes and the final
// zero, as much as the kernel takes (path_resolution(7)).
const PathMax = 4096

// OpenRequest says what to open. It begins with struct open_how of openat2(2),
// and the kernel reads it, so it must lie outside the Go heap.
type OpenRequest struct {
	flags, mode, resolve uint64
	path                 [PathMax]byte
}

// Flags of openat2(2).
const resolveNoMagiclinks, resolveBeneath = 0x02, 0x08

// Set names the file: path, relative to the directory of Open unless it begins
// with a slash. With beneath, nothing outside of that directory can be reached
// (openat2(2), RESOLVE_BENEATH): not by "..", not by an absolute path and not by
// a symbolic link; the error is EXDEV. Set returns ENAMETOOLONG, or ENOENT for a
// path that no file has (empty, or with a zero byte).
func (r *OpenRequest) Set(path string, beneath bool) syscall.Errno {
	if len(path) >= PathMax {
		return syscall.ENAMETOOLONG
	}
	if path == "" {
		return syscall.ENOENT
	}
	for i := range len(path) {
		if path[i] == 0 {
			return syscall.ENOENT
		}
	}
	r.flags, r.mode, r.resolve = openFlags, 0, 0
	if beneath {
		r.resolve = resolveBeneath | resolveNoMagiclinks
	}
	r.path[copy(r.path[:], path)] = 0
	return 0
}

// Stat is what is known of a file: struct statx of statx(2). The kernel writes
// it, so it must lie outside the Go heap.
type Stat struct {
	raw   [256]byte
	empty [1]byte // the path that the call takes
}

// statMask asks for type, mode, modification time, inode and size.
const statMask = 0x1 | 0x2 | 0x40 | 0x100 | 0x200

// Mode returns the file's type and permissions.
func (s *Stat) Mode() fs.FileMode {
	raw := uint32(binary.NativeEndian.Uint16(s.raw[28:]))
	mode := fs.FileMode(raw & 0o777)
	switch raw & 0o170000 {
	case 0o100000:
	case 0o040000:
		mode |= fs.ModeDir
	default:
		mode |= fs.ModeIrregular
	}
	return mode
}

// Size returns the file's size in bytes.
func (s *Stat) Size() int64 { return int64(binary.NativeEndian.Uint64(s.raw[40:])) }

// ModTime returns when the file was last written to.
func (s *Stat) ModTime() time.Time {
	return time.Unix(int64(binary.NativeEndian.Uint64(s.raw[112:])),
		int64(binary.NativeEndian.Uint32(s.raw[120:])))
}
