//go:build linux

package conn

import (
	"errors"
	"io/fs"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// File is an open file of a loop. Several connections may send it at once: it is
// counted how many have it, and closed when nobody has. Like a Conn it belongs
// to its loop's goroutine.
type File struct {
	loop       *Loop
	fd         int
	refs       int
	mode       fs.FileMode
	size       int64
	modTime    time.Time
	prev, next *File // in the loop's list
}

// Size returns the file's size in bytes when it was opened.
func (f *File) Size() int64 { return f.size }

// Mode returns the file's type (regular, directory, or ModeIrregular for any
// other) and permissions.
func (f *File) Mode() fs.FileMode { return f.mode }

// ModTime returns when the file had last been written to when it was opened.
func (f *File) ModTime() time.Time { return f.modTime }

// Retain counts one more who has the file.
func (f *File) Retain() { f.refs++ }

// Release gives the file back, which must not be used any more by who had it.
func (f *File) Release() {
	if f.refs--; f.refs > 0 {
		return
	}
	f.loop.files.forget(f)
	if f.fd >= 0 { // else the loop has ended
		f.loop.files.driver.CloseFile(f.fd)
	}
}

// files are a loop's open files and operations on files in flight.
type files struct {
	driver   ring.Files
	sender   ring.FileSender
	open     *File // all of them
	ops      []*fileOp
	free     *fileOp
	inFlight int
	opening  int // of those, opens and stats

	waiting, lastWaiting *fileOp // opens that there is no room for
	idleTransfers        *transfer
}

// maxOpening is how many files a loop opens at once. Each takes a buffer.
const maxOpening = 256

// fileOp is an operation on a file: an open and the stat that follows it, or a
// read. It owns its buffer until its last completion; who wanted it may be gone
// by then.
type fileOp struct {
	slot, generation uint32
	op               ring.Op // in flight, OpNone: none
	next             *fileOp // free or waiting
	buf              *sendBuf
	file             *File // to be read, or open and being examined
	retries          int

	dir    *File // of an open, nil: the working directory
	path   string
	within bool
	then   func(*File, error)

	conn     *Conn // of a read for SendFile, nil: given up
	at       int64 // of a read: the place in the file
	n        int   // of a read: how much of it is wanted
	thenRead func([]byte, error)
}

// maxRetries bounds how often an operation that was interrupted is started again.
const maxRetries = 16

func (f *files) take() *fileOp {
	op := f.free
	if op == nil {
		op = &fileOp{slot: uint32(len(f.ops))}
		f.ops = append(f.ops, op)
	} else {
		f.free, op.next = op.next, nil
	}
	return op
}

// done frees op, and its buffer if it still has one.
func (l *Loop) doneFile(op *fileOp) {
	if op.buf != nil {
		l.freeBuf(op.buf)
	}
	*op = fileOp{slot: op.slot, generation: ring.MakeToken(0, op.generation+1).Generation(), next: l.files.free}
	l.files.free = op
}

func (op *fileOp) token() ring.Token { return ring.MakeToken(op.slot, op.generation) }

func (f *files) forget(file *File) {
	if file.prev != nil {
		file.prev.next = file.next
	} else {
		f.open = file.next
	}
	if file.next != nil {
		file.next.prev = file.prev
	}
	file.prev, file.next = nil, nil
}

// OpenFile opens the file that path names, relative to the open directory dir
// (nil: to the working directory), and examines it. With within nothing outside
// of dir can be reached, by "..", symbolic links or otherwise (openat2(2),
// RESOLVE_BENEATH); the error is EXDEV then.
//
// It never waits. then is called on the loop's goroutine, later or at once, with
// a file to be released by its receiver, or with an error, a syscall.Errno. Of what
// is neither a regular file nor a directory nothing should be read: it may wait
// for ever.
func (l *Loop) OpenFile(dir *File, path string, within bool, then func(*File, error)) {
	op := l.files.take()
	op.path, op.within, op.then = path, within, then
	if dir != nil {
		op.dir = dir
		dir.Retain()
	}
	if l.files.waiting != nil || !l.startOpen(op) {
		if l.files.waiting == nil {
			l.files.waiting = op
		} else {
			l.files.lastWaiting.next = op
		}
		l.files.lastWaiting = op
	}
}

// openMemory is what the kernel reads and writes of an open and its stat.
type openMemory struct {
	request ring.OpenRequest
	stat    ring.Stat
}

func (op *fileOp) memory() *openMemory { return (*openMemory)(unsafe.Pointer(&op.buf.mem[0])) }

// startOpen is false if there is no room for it now.
func (l *Loop) startOpen(op *fileOp) bool {
	f := &l.files
	if f.opening >= maxOpening {
		return false
	}
	if op.buf = l.getBuf(int(unsafe.Sizeof(openMemory{}))); op.buf == nil || len(op.buf.mem) < int(unsafe.Sizeof(openMemory{})) {
		if op.buf != nil {
			l.freeBuf(op.buf)
			op.buf = nil
		}
		return false
	}
	f.opening++
	f.inFlight++
	if errno := op.memory().request.Set(op.path, op.within); errno != 0 {
		l.opened(op, errno)
		return true
	}
	l.submitFile(op, ring.OpOpen)
	return true
}

// feedFiles starts what has waited for room.
func (l *Loop) feedFiles() {
	for op := l.files.waiting; op != nil; op = l.files.waiting {
		next := op.next
		op.next = nil
		if !l.startOpen(op) {
			op.next = next
			return
		}
		l.files.waiting = next
	}
}

// submitFile hands op to the driver, for the first time or again.
func (l *Loop) submitFile(op *fileOp, what ring.Op) {
	op.op = what
	d := l.files.driver
	switch what {
	case ring.OpOpen:
		dir := ring.AtCWD
		if op.dir != nil {
			dir = op.dir.fd
		}
		d.Open(dir, op.token(), &op.memory().request)
	case ring.OpStat:
		d.Stat(op.file.fd, op.token(), &op.memory().stat)
	case ring.OpRead:
		b := op.buf
		d.Read(op.file.fd, op.token(), b.mem[b.w:b.w+op.n], op.at)
	}
}

// onFile handles a completion of an operation on a file.
func (l *Loop) onFile(ev *ring.Event) {
	slot := ev.Token.Slot()
	if int(slot) >= len(l.files.ops) {
		return
	}
	op := l.files.ops[slot]
	if op.op != ev.Op || op.generation != ev.Token.Generation() {
		return
	}
	op.op = ring.OpNone
	switch ev.Err {
	case syscall.EAGAIN, syscall.EINTR, syscall.ECANCELED: // see ring.Files
		if op.retries++; op.retries < maxRetries && !l.cut && !op.orphan() {
			l.submitFile(op, ev.Op)
			return
		}
	case 0:
		op.retries = 0
	}
	switch ev.Op {
	case ring.OpOpen:
		if ev.Err == 0 {
			f := &l.files
			file := &File{loop: l, fd: ev.N, refs: 1, next: f.open}
			if f.open != nil {
				f.open.prev = file
			}
			f.open, op.file = file, file
			l.submitFile(op, ring.OpStat)
			return
		}
		l.opened(op, ev.Err)
	case ring.OpStat:
		l.opened(op, ev.Err)
	case ring.OpRead:
		l.files.inFlight--
		l.onRead(op, ev.N, ev.Err)
	}
}

// opened ends an open.
func (l *Loop) opened(op *fileOp, errno syscall.Errno) {
	l.files.opening--
	l.files.inFlight--
	file, then := op.file, op.then
	if op.dir != nil {
		op.dir.Release()
	}
	var err error
	switch {
	case errno != 0:
		err = errno
		if file != nil {
			file.Release()
			file = nil
		}
	default:
		s := &op.memory().stat
		file.mode, file.size, file.modTime = s.Mode(), s.Size(), s.ModTime()
	}
	l.doneFile(op)
	then(file, err)
}

// ReadFile reads at most n bytes (up to 16 KiB) from the beginning of f. then is
// called on the loop's goroutine with what there is; p is valid until it returns.
// The error is a syscall.Errno, or ErrNoMemory.
func (l *Loop) ReadFile(f *File, n int, then func(p []byte, err error)) {
	buf := l.getBuf(min(n, smallSize))
	if buf == nil {
		then(nil, ErrNoMemory)
		return
	}
	op := l.files.take()
	op.buf, op.file, op.n, op.thenRead = buf, f, min(n, len(buf.mem)), then
	f.Retain()
	l.files.inFlight++
	l.submitFile(op, ring.OpRead)
}

// ErrNoMemory tells that the loop's memory for sending is used up (Options.MaxQueued).
var ErrNoMemory = errors.New("conn: out of memory for sending")

// onRead ends a read.
func (l *Loop) onRead(op *fileOp, n int, errno syscall.Errno) {
	file := op.file
	switch {
	case op.thenRead != nil:
		var err error
		if errno != 0 {
			n, err = 0, errno
		}
		op.thenRead(op.buf.mem[:n], err)
	case op.conn != nil:
		op.conn.fileRead(op, n, errno)
		return
	}
	l.doneFile(op) // or it was given up
	file.Release()
}

// orphan reports whether op is a read for which nobody waits any more.
func (op *fileOp) orphan() bool { return op.then == nil && op.thenRead == nil && op.conn == nil }

// endFiles closes what is open. The driver is gone; clean says that it has ended
// everything in flight.
func (l *Loop) endFiles(clean bool) {
	f := &l.files
	for _, op := range f.ops {
		if op.buf != nil && clean {
			l.freeBuf(op.buf)
			op.buf = nil
		}
	}
	for file := f.open; file != nil; file = file.next {
		_ = unix.Close(file.fd)
		file.fd = -1
	}
	f.waiting, f.lastWaiting, f.inFlight = nil, nil, 0
}
