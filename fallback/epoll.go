//go:build linux

package fallback

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

const (
	// EPOLLRDHUP tells of the end behind the data, EPOLLPRI of urgent data:
	// both make a short read mean nothing.
	connInterest   = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLPRI | unix.EPOLLET
	listenInterest = unix.EPOLLIN | unix.EPOLLET
)

// maxMisses is how often Wait looks in vain, before it goes to sleep without a
// look until there is more to do. With a single busy connection the look would
// be a quarter of all system calls.
const maxMisses = 4

// Epoll is a ring.Driver over epoll(7). Its methods are documented there.
type Epoll struct {
	fd      int // the epoll instance
	eventfd int
	shared  *shared
	memory  []byte // behind shared

	sockets sockets
	ready   queue        // sockets with a system call to make
	done    queue        // sockets with an ended operation
	refused []ring.Event // completions of commands against the contract
	buffers *buffers

	precise bool // epoll_pwait2 is available (Linux 5.11)
	looked  bool // the last Wait asked epoll
	misses  int  // looks without blocking in a row that found nothing

	enters, submitted, completed uint64

	// The rest is also Wake's, which any goroutine calls.
	_      [64]byte // a cache line of its own
	state  atomic.Uint32
	wakers atomic.Int32 // calls of Wake that may be using eventfd
	closed atomic.Bool
}

var (
	_ ring.Driver      = (*Epoll)(nil)
	_ ring.WriteWaiter = (*Epoll)(nil)
)

// The values of Epoll.state.
const (
	awake  uint32 = iota
	asleep        // Wait sleeps, or is about to: Wake has to write to eventfd
	called        // Wake was called since the last Wait
)

// shared is the memory that the kernel reads and writes.
type shared struct {
	events  [1024]unix.EpollEvent
	ctl     unix.EpollEvent // argument of epoll_ctl
	timeout struct{ sec, nsec int64 }
	one     uint64 // what Wake writes; constant
}

// Open returns a driver with a new epoll instance. Of cfg it uses Buffers and
// BufferSize. The caller ends it with Destroy.
func Open(cfg ring.Config) (*Epoll, error) {
	e := &Epoll{fd: -1, eventfd: -1, ready: queue{kind: queueReady}, done: queue{kind: queueDone}}
	if err := e.open(cfg); err != nil {
		return nil, errors.Join(err, e.Destroy())
	}
	return e, nil
}

func (e *Epoll) open(cfg ring.Config) (err error) {
	if e.buffers, err = openBuffers(cfg); err != nil {
		return err
	}
	e.memory, err = unix.Mmap(-1, 0, int(unsafe.Sizeof(shared{})), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("epoll: mmap of the events: %w", err)
	}
	e.shared = (*shared)(unsafe.Pointer(unsafe.SliceData(e.memory)))
	e.shared.one = 1
	if e.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	if e.eventfd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	// Edge-triggered: every write is a new edge, so the eventfd is never read.
	if errno := e.control(unix.EPOLL_CTL_ADD, e.eventfd, 0, listenInterest); errno != 0 {
		return fmt.Errorf("epoll_ctl: eventfd: %w", errno)
	}
	e.sockets.invalid.fd = -1
	// Not by version: a seccomp filter may refuse what the kernel has.
	_, errno := e.pwait2(0)
	e.precise = errno == 0
	e.beginTurn()
	return nil
}

// Destroy closes the epoll instance. No operation is in flight between calls,
// so nothing has to be waited for. The sockets stay open: they are the caller's.
func (e *Epoll) Destroy() error {
	if e.closed.Swap(true) {
		return nil
	}
	for e.wakers.Load() != 0 { // else Wake might write to a descriptor of somebody else
		runtime.Gosched()
	}
	var errs []error
	for _, fd := range []int{e.eventfd, e.fd} {
		if fd >= 0 {
			errs = append(errs, unix.Close(fd))
		}
	}
	e.fd, e.eventfd = -1, -1
	if e.buffers != nil {
		errs = append(errs, e.buffers.close())
	}
	if e.memory != nil {
		errs = append(errs, unix.Munmap(e.memory))
		e.memory, e.shared = nil, nil
	}
	return errors.Join(errs...)
}

// Wait implements ring.Driver. When completions are queued already it returns
// at once, and every other time without even asking epoll: a turn of the loop
// that sent something is followed by one that takes the sends' completions, and
// one epoll_wait for both is enough.
func (e *Epoll) Wait(timeout time.Duration) error {
	if e.closed.Load() {
		return errors.New("epoll: Wait after Destroy")
	}
	defer e.beginTurn()
	if e.busy() && e.looked {
		e.looked = false
		return nil
	}
	e.looked = true
	var errno syscall.Errno
	mayBlock := timeout != 0 && !e.busy()
	if !mayBlock || e.misses < maxMisses {
		var n int
		n, errno = e.poll()
		if e.take(n) {
			e.misses, mayBlock = 0, false
		} else {
			e.misses++
		}
	}
	if errno == 0 && mayBlock && e.state.CompareAndSwap(awake, asleep) {
		var n int
		n, errno = e.sleep(timeout)
		if e.take(n); n > 1 {
			e.misses = 0 // it is getting busy
		}
	}
	e.state.Store(awake)
	if errno != 0 && errno != unix.EINTR {
		return fmt.Errorf("epoll_wait: %w", errno)
	}
	return nil
}

// busy reports whether Next has something to do.
func (e *Epoll) busy() bool { return e.done.n > 0 || e.ready.n > 0 || len(e.refused) > 0 }

func (e *Epoll) beginTurn() {
	e.done.beginTurn()
	e.ready.beginTurn()
}

// take notes the first n events and reports whether Next has something to do.
func (e *Epoll) take(n int) bool {
	for i := range n {
		ev := &e.shared.events[i]
		s := e.sockets.find(int(ev.Fd))
		// Unknown: of an earlier owner of this number, or the eventfd.
		if s == nil || s.ready&registered == 0 || s.generation != uint32(ev.Pad) {
			continue
		}
		if s.note(ev.Events); s.canReceive() || s.canSend() {
			e.ready.push(s)
		}
	}
	return e.busy()
}

// poll asks for events without blocking. It cannot block, so Go's scheduler
// need not know.
func (e *Epoll) poll() (int, syscall.Errno) {
	e.enters++
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd),
		uintptr(unsafe.Pointer(&e.shared.events)), uintptr(len(e.shared.events)), 0, 0, 0)
	return result(n, errno)
}

// sleep waits for events.
func (e *Epoll) sleep(timeout time.Duration) (int, syscall.Errno) {
	if e.precise && timeout > 0 {
		return e.pwait2(timeout)
	}
	e.enters++
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.fd),
		uintptr(unsafe.Pointer(&e.shared.events)), uintptr(len(e.shared.events)), uintptr(milliseconds(timeout)), 0, 0)
	return result(n, errno)
}

func (e *Epoll) pwait2(timeout time.Duration) (int, syscall.Errno) {
	e.enters++
	t := &e.shared.timeout
	t.sec, t.nsec = int64(timeout/time.Second), int64(timeout%time.Second)
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(e.fd),
		uintptr(unsafe.Pointer(&e.shared.events)), uintptr(len(e.shared.events)), uintptr(unsafe.Pointer(t)), 0, 0)
	return result(n, errno)
}

// milliseconds rounds up: waking before the deadline would make the loop spin
// until it. -1 stands for no limit.
func milliseconds(timeout time.Duration) int {
	if timeout < 0 {
		return -1
	}
	const largest = math.MaxInt32 * time.Millisecond
	return int((min(timeout, largest) + time.Millisecond - 1) / time.Millisecond)
}

func (e *Epoll) control(op, fd int, generation uint32, interest uint32) syscall.Errno {
	e.enters++
	e.shared.ctl = unix.EpollEvent{Events: interest, Fd: int32(fd), Pad: int32(generation)}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(e.fd), uintptr(op), uintptr(fd),
		uintptr(unsafe.Pointer(&e.shared.ctl)), 0, 0)
	return errno
}

// Wake implements ring.Driver. It costs a system call only when the loop
// sleeps and nobody else has called it yet. After Destroy it does nothing.
func (e *Epoll) Wake() {
	if e.state.Load() == called {
		return
	}
	e.wakers.Add(1)
	if e.state.Swap(called) == asleep && !e.closed.Load() {
		// Fails only with EAGAIN, after 2^64-2 wakes.
		_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(e.eventfd), uintptr(unsafe.Pointer(&e.shared.one)), 8)
	}
	e.wakers.Add(-1)
}

// Stats implements ring.Driver.
func (e *Epoll) Stats() ring.Stats {
	return ring.Stats{
		Enters:       e.enters,
		Submitted:    e.submitted,
		Completed:    e.completed,
		Buffers:      e.buffers.provided,
		BuffersInUse: e.buffers.inUse(),
	}
}

// result turns what a system call returned into a count and an error.
func result(n uintptr, errno syscall.Errno) (int, syscall.Errno) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
