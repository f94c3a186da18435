//go:build linux

package ring

import (
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of Destroy: how long it waits for everything in flight, and after how
// long it cancels again what a cancel may have missed in passing.
const (
	destroyTimeout = 5 * time.Second
	destroyRetry   = 10 * time.Millisecond
)

// Destroy implements Driver. It is to be called once, on the driver's thread.
// The error is that the kernel would not end its operations; then the memory
// which they may still write to is not given back.
func (u *Uring) Destroy() error { return u.destroy(destroyTimeout) }

func (u *Uring) destroy(timeout time.Duration) error {
	err := u.drain(timeout)
	if err != nil {
		u.waker.leave()
		unix.Close(u.ring.fd)
		return err
	}
	return u.free()
}

// free gives back what open got, as far as it did.
func (u *Uring) free() error {
	var err error
	if u.ring != nil {
		err = u.ring.close()
	}
	if u.waker != nil {
		u.waker.leave()
	}
	if u.buffers != nil {
		u.buffers.unmap() // after the ring, which knows it
	}
	return err
}

// drain ends every operation and takes its last completion: closing a ring
// would leave that to the kernel, at some later time, with the sockets and the
// buffers in its hands until then.
func (u *Uring) drain(timeout time.Duration) error {
	u.closeQueued()
	u.inFlight -= len(u.backlog) + int(u.ring.sq.discard())
	u.backlog = nil
	deadline := time.Now().Add(timeout)
	for {
		u.discard()
		if u.inFlight == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("ring: %d operations did not end within %v of being cancelled: %w", u.inFlight, timeout, unix.ETIME)
		}
		if e := u.ring.sq.take(); e != nil {
			u.inFlight++
			e.prepareCancelAll(userDataCancel)
		}
		if _, errno := u.submit(); errno != 0 && errno != unix.EINTR && errno != unix.EAGAIN && errno != unix.EBUSY {
			return fmt.Errorf("ring: io_uring_enter: %w", errno)
		}
		if u.ring.cq.empty() {
			if err := u.block(destroyRetry); err != nil {
				return err
			}
		}
	}
}

// closeQueued closes the files whose closing the kernel has not seen.
func (u *Uring) closeQueued() {
	queued := u.backlog
	for q, i := &u.ring.sq, atomic.LoadUint32(u.ring.sq.head); i != q.next; i++ {
		queued = append(queued, q.sqes[i&q.mask])
	}
	for i := range queued {
		if e := &queued[i]; e.opcode == opClose {
			unix.Close(int(e.fd))
		}
	}
}

// discard takes completions that nobody will see, and closes the sockets and
// files among them.
func (u *Uring) discard() {
	var c cqe
	for !u.ring.cq.empty() && u.ring.cq.take(&c) {
		if c.flags&cqeMore == 0 {
			u.inFlight--
		}
		switch op := Op(c.userData >> userDataOp); {
		case (op == OpAccept || op == OpOpen) && c.res >= 0:
			unix.Close(int(c.res))
		case op == OpNone && c.userData&userDataKind == userDataClose && c.res == -int32(unix.ECANCELED):
			unix.Close(int(c.userData >> 8))
		}
	}
}
