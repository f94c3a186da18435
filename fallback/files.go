//go:build linux

package fallback

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// Files gives a driver what it lacks of ring.Files, and ring.FileSender.
//
// Regular files do not poll. So each call is tried first in a way that does not
// wait: an open with what the directory cache holds (RESOLVE_CACHED, Linux
// 5.12), a read of what the page cache holds (preadv2(2), RWF_NOWAIT). What
// would have to wait for the disk goes to a few goroutines, which wake the
// driver when they have something. So does every sendfile(2), of which the
// kernel cannot be asked not to wait for the disk.
type Files struct {
	ring.Driver
	own    ring.Files       // the driver's, nil: they are not used
	waiter ring.WriteWaiter // the driver, nil: its connections are no sockets
	memory []byte           // behind iovec
	iovec  *unix.Iovec

	direct    []ring.Event // what was done at once; the owner's
	directAt  int
	taken     []ring.Event // what the goroutines have done; the owner's
	takenAt   int
	noCached  bool // the kernel does not know RESOLVE_CACHED
	noNowait  bool // nor RWF_NOWAIT
	stepwise  bool // nor openat2 at all, for tests
	submitted uint64
	completed uint64
	calls     uint64

	sends      map[ring.Token]*fileSend // in flight
	spareSends *fileSend
	handed     bool // there are calls for the goroutines since the last Wait
	yields     bool // which want the only processor

	ready   atomic.Bool // there is something in done
	mu      sync.Mutex
	done    []ring.Event
	first   *fileJob // waiting, oldest first
	last    *fileJob
	spare   *fileJob
	workers int
	work    func()        // a worker's life
	ended   chan struct{} // closed by the last worker, once Destroy waits for it
}

// maxFileWorkers bounds the goroutines of one driver that wait for the disk.
// Each of them has a thread meanwhile.
const maxFileWorkers = 8

const resolveCached = 0x20 // RESOLVE_CACHED, linux/openat2.h

// fileJob is a call that may wait.
type fileJob struct {
	next    *fileJob
	op      ring.Op // OpNone: a close
	token   ring.Token
	fd      int // or the directory
	request *ring.OpenRequest
	p       []byte
	offset  int64
	socket  int // where to send fd
	n       int // … how much of it
}

var (
	_ ring.Driver     = (*Files)(nil)
	_ ring.Files      = (*Files)(nil)
	_ ring.FileSender = (*Files)(nil)
	_ ring.Mover      = (*Files)(nil)
)

// WithFiles adds ring.Files to d, and ring.FileSender if it is a ring.WriteWaiter.
// The owner uses the result instead of d from now on. Destroy ends both.
// Goroutines exist only while there is something to wait for.
func WithFiles(d ring.Driver) (*Files, error) {
	memory, err := unix.Mmap(-1, 0, int(unsafe.Sizeof(unix.Iovec{})), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("files: mmap: %w", err)
	}
	f := &Files{Driver: d, memory: memory, iovec: (*unix.Iovec)(unsafe.Pointer(&memory[0])),
		sends: make(map[ring.Token]*fileSend), yields: runtime.GOMAXPROCS(0) == 1}
	f.waiter, _ = d.(ring.WriteWaiter)
	f.work = f.runJobs // once: it allocates
	return f, nil
}

// WithFileSender adds only ring.FileSender to d, which has files of its own.
func WithFileSender(d interface {
	ring.Driver
	ring.Files
}) (*Files, error) {
	f, err := WithFiles(d)
	if err == nil {
		f.own = d
	}
	return f, err
}

// Move implements ring.Mover, as far as the driver underneath does.
func (f *Files) Move() {
	if m, ok := f.Driver.(ring.Mover); ok {
		m.Move()
	}
}

// Open implements ring.Files.
func (f *Files) Open(dir int, t ring.Token, r *ring.OpenRequest) {
	if f.own != nil {
		f.own.Open(dir, t, r)
		return
	}
	f.submitted++
	if !f.noCached {
		f.calls++
		switch fd, errno := r.Do(dir, resolveCached); errno {
		case unix.EAGAIN:
		case unix.EINVAL, unix.ENOSYS, unix.EPERM:
			f.noCached = true
		default:
			f.direct = append(f.direct, ring.Event{Token: t, Op: ring.OpOpen, N: max(fd, 0), Err: errno})
			return
		}
	}
	f.start(fileJob{op: ring.OpOpen, token: t, fd: dir, request: r})
}

// Stat implements ring.Files. The file is open: what the system knows of it is
// in memory.
func (f *Files) Stat(fd int, t ring.Token, s *ring.Stat) {
	if f.own != nil {
		f.own.Stat(fd, t, s)
		return
	}
	f.submitted++
	f.calls++
	f.direct = append(f.direct, ring.Event{Token: t, Op: ring.OpStat, Err: s.Do(fd)})
}

// Read implements ring.Files.
func (f *Files) Read(fd int, t ring.Token, p []byte, offset int64) {
	if f.own != nil {
		f.own.Read(fd, t, p, offset)
		return
	}
	f.submitted++
	if !f.noNowait {
		switch n, errno := f.readCached(fd, p, offset); errno {
		case unix.EAGAIN, unix.EOPNOTSUPP, unix.EINTR:
		case unix.EINVAL, unix.ENOSYS, unix.EPERM:
			f.noNowait = true
		default:
			f.direct = append(f.direct, ring.Event{Token: t, Op: ring.OpRead, N: n, Err: errno})
			return
		}
	}
	f.start(fileJob{op: ring.OpRead, token: t, fd: fd, p: p, offset: offset})
}

// readCached cannot wait, so Go's scheduler need not know.
func (f *Files) readCached(fd int, p []byte, offset int64) (int, syscall.Errno) {
	f.calls++
	f.iovec.Base = unsafe.SliceData(p)
	f.iovec.SetLen(len(p))
	n, _, errno := unix.RawSyscall6(unix.SYS_PREADV2, uintptr(fd), uintptr(unsafe.Pointer(f.iovec)), 1,
		uintptr(offset), uintptr(uint64(offset)>>32), unix.RWF_NOWAIT)
	return result(n, errno)
}

// CloseFile implements ring.Files. Closing the last reference to a file that was
// removed frees its blocks, which takes its time.
func (f *Files) CloseFile(fd int) {
	if f.own != nil {
		f.own.CloseFile(fd)
		return
	}
	f.start(fileJob{fd: fd})
}

// Cancel implements ring.Driver: a call that waits for a goroutine is given up,
// one that has begun goes on to its end.
func (f *Files) Cancel(fd int, t ring.Token, op ring.Op) {
	switch op {
	case ring.OpSendFile:
		f.cancelSend(t)
	case ring.OpOpen, ring.OpStat, ring.OpRead:
		if f.own == nil {
			f.giveUp(t, op)
			return
		}
		fallthrough
	default:
		f.Driver.Cancel(fd, t, op)
	}
}

// giveUp ends a call that no goroutine has begun.
func (f *Files) giveUp(t ring.Token, op ring.Op) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for at, last := &f.first, (*fileJob)(nil); *at != nil; at, last = &(*at).next, *at {
		if j := *at; j.op == op && j.token == t {
			if *at = j.next; j == f.last {
				f.last = last
			}
			f.direct = append(f.direct, ring.Event{Token: t, Op: op, Err: unix.ECANCELED})
			f.keep(j)
			return
		}
	}
}

// Next implements ring.Driver.
func (f *Files) Next(ev *ring.Event) bool {
	for f.Driver.Next(ev) {
		if ev.Op != ring.OpWritable {
			return true
		}
		f.writable(ev)
	}
	for f.nextOwn(ev) {
		if ev.Op != ring.OpSendFile || f.sent(ev) {
			f.completed++
			return true
		}
	}
	return false
}

// nextOwn takes the next of what is not the driver's.
func (f *Files) nextOwn(ev *ring.Event) bool {
	switch {
	case f.directAt < len(f.direct):
		*ev = f.direct[f.directAt]
		if f.directAt++; f.directAt == len(f.direct) {
			f.direct, f.directAt = f.direct[:0], 0
		}
	case f.takenAt < len(f.taken) || f.ready.Load() && f.take():
		*ev = f.taken[f.takenAt]
		f.takenAt++
	default:
		return false
	}
	return true
}

// take fetches what the goroutines have done.
func (f *Files) take() bool {
	f.mu.Lock()
	f.taken, f.done, f.takenAt = f.done, f.taken[:0], 0
	f.ready.Store(false)
	f.mu.Unlock()
	return len(f.taken) > 0
}

// Wait implements ring.Driver.
func (f *Files) Wait(timeout time.Duration) error {
	if f.handed {
		f.handed = false
		if f.yields { // the runtime would notice late that the owner sleeps
			if err := f.Driver.Wait(0); err != nil { // sockets first: the goroutines take their time
				return err
			}
			runtime.Gosched()
		}
	}
	if f.directAt < len(f.direct) || f.takenAt < len(f.taken) || f.ready.Load() {
		timeout = 0
	}
	return f.Driver.Wait(timeout)
}

// Stats implements ring.Driver.
func (f *Files) Stats() ring.Stats {
	s := f.Driver.Stats()
	s.Enters += f.calls
	s.Submitted += f.submitted
	s.Completed += f.completed
	return s
}

// destroyTimeout bounds how long Destroy waits for the disk.
const destroyTimeout = 5 * time.Second

// Destroy implements ring.Driver. What has not begun is given up; what has is
// waited for.
func (f *Files) Destroy() error {
	f.mu.Lock()
	for at := &f.first; *at != nil; { // files to be closed are closed all the same
		if j := *at; j.op != ring.OpNone {
			*at = j.next
		} else {
			at, f.last = &j.next, j
		}
	}
	if f.first == nil {
		f.last = nil
	}
	var err error
	if f.workers > 0 {
		f.ended = make(chan struct{})
		f.mu.Unlock()
		select {
		case <-f.ended:
		case <-time.After(destroyTimeout):
			err = fmt.Errorf("files: the disk did not answer within %v", destroyTimeout)
		}
		f.mu.Lock()
	}
	left := append(append(f.direct[f.directAt:], f.taken[f.takenAt:]...), f.done...)
	f.mu.Unlock()
	for i := range left {
		if ev := &left[i]; ev.Op == ring.OpOpen && ev.Err == 0 {
			_ = unix.Close(ev.N)
		}
	}
	return errors.Join(err, f.Driver.Destroy(), unix.Munmap(f.memory))
}
