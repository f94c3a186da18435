//go:build linux

package ring

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The states of a loop as its wakers see it:
//
//	awake ──Wake──▶ woken        nothing to do but to say so
//	awake ──Wait──▶ asleep       about to wait in the kernel
//	asleep ─Wake──▶ woken        and the eventfd is written
//	woken, asleep ──▶ awake      Wait returns
//
// A loop goes to sleep from awake only: woken means that a Wake has come since
// the last Wait ended, so that the next one must not wait. A wake is a system
// call only when the loop sleeps, and of many only one is.
const (
	awake uint32 = iota
	woken
	asleep
)

// waker is the eventfd that ends a wait. Its counter is never read: each write
// wakes whoever polls it, and the ring's poll is edge-triggered.
type waker struct {
	fd    int
	state atomic.Uint32
	users atomic.Int64 // the owner, and every wake that is writing
}

// wakeOne is what is written to the eventfd, a number of 64 bits. It is data of
// the program, not of the heap.
var wakeOne uint64 = 1

func newWaker() (*waker, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, &stepError{step: "eventfd", errno: errnoOf(err)}
	}
	w := &waker{fd: fd}
	w.users.Store(1)
	return w, nil
}

// wake may be called from any goroutine, at any time.
func (w *waker) wake() {
	if w.state.Load() == woken || w.state.Swap(woken) != asleep {
		return
	}
	if w.enter() {
		_, _ = unix.Write(w.fd, (*[8]byte)(unsafe.Pointer(&wakeOne))[:])
		w.leave()
	}
}

// sleep announces that the loop is going to wait. It reports false, and the
// loop must not wait, if it has been woken already.
func (w *waker) sleep() bool { return w.state.CompareAndSwap(awake, asleep) }

// answer is called at the end of a Wait: the wakes before it have ended this
// one. The write of one of them may still be on its way; it ends a later wait
// early, which does no harm.
func (w *waker) answer() {
	if w.state.Load() != awake {
		w.state.Store(awake)
	}
}

// enter keeps the file open until leave. It reports false once the owner has
// left: the file's number may be another's by then.
func (w *waker) enter() bool {
	for {
		n := w.users.Load()
		if n == 0 {
			return false
		}
		if w.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave closes the file when it was the last.
func (w *waker) leave() {
	if w.users.Add(-1) == 0 {
		unix.Close(w.fd)
	}
}
