//go:build linux

package ring

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// next returns the SQE of one more operation, to be prepared at once.
//
// When the SQ is full it is submitted. If the kernel does not take it all (no
// memory, or a CQ that has to be emptied first) the operation goes to the
// backlog, from where the next Wait takes it: nothing is dropped, and nobody
// spins.
func (u *Uring) next() *sqe {
	u.inFlight++
	if len(u.backlog) == 0 {
		if e := u.ring.sq.take(); e != nil {
			return e
		}
		_, errno := u.submit()
		if errno == 0 {
			if e := u.ring.sq.take(); e != nil {
				return e
			}
		}
	}
	u.backlog = append(u.backlog, sqe{})
	return &u.backlog[len(u.backlog)-1]
}

// submit hands the SQ to the kernel, which also posts what has completed, and
// returns how many operations it took.
func (u *Uring) submit() (taken int, errno syscall.Errno) {
	u.buffers.publish() // before the receives that wait for them
	taken, errno = u.ring.submit(u.ring.sq.publish())
	u.submitted += uint64(taken)
	u.refused = errno
	return taken, errno
}

// refill moves as much of the backlog into the SQ as there is room for.
func (u *Uring) refill() {
	n := 0
	for ; n < len(u.backlog); n++ {
		e := u.ring.sq.take()
		if e == nil {
			break
		}
		*e = u.backlog[n]
	}
	if n > 0 {
		u.backlog = u.backlog[:copy(u.backlog, u.backlog[n:])]
	}
}

// Wait implements Driver. It is adaptive: first it submits and asks for
// completions by a system call that cannot wait, and hence needs no leave of
// Go's scheduler; only when there are none does it wait by one that can.
func (u *Uring) Wait(timeout time.Duration) error {
	err := u.wait(timeout)
	u.ring.cq.empty() // look what there is to take
	u.waker.answer()
	return err
}

func (u *Uring) wait(timeout time.Duration) error {
	if u.failed != nil {
		return u.failed
	}
	ready := !u.ring.cq.empty()
	for {
		u.refill()
		queued := u.ring.sq.publish()
		if queued == 0 && ready {
			// With DEFER_TASKRUN, or after an overflow, more may wait in the
			// kernel. It comes with the enter that follows when these have
			// been taken.
			return nil
		}
		taken, errno := u.submit()
		switch errno {
		case 0, unix.EINTR:
		case unix.EAGAIN, unix.EBUSY:
			// No memory for the operations, or completions that the CQ has no
			// room for. Both pass as completions are taken.
		default:
			return fmt.Errorf("ring: io_uring_enter: %w", errno)
		}
		ready = !u.ring.cq.empty()
		left := u.ring.sq.publish() > 0 || len(u.backlog) > 0
		if taken > 0 && left {
			continue
		}
		if ready || timeout == 0 {
			return nil
		}
		if left && (timeout < 0 || timeout > scarce) {
			timeout = scarce // then the caller comes back, and we try again
		}
		if !u.waker.sleep() {
			return nil
		}
		return u.block(timeout)
	}
}

// block waits for a completion.
func (u *Uring) block(timeout time.Duration) error {
	switch errno := u.ring.wait(timeout); errno {
	case 0, unix.ETIME, unix.EINTR: // completions; time is up; a signal
		return nil
	case unix.EAGAIN, unix.EBUSY: // as in wait: the caller takes what there is and comes back
		return nil
	default: // EBADR among others: completions were lost
		return fmt.Errorf("ring: io_uring_enter: %w", errno)
	}
}

// Gather implements Gatherer. What fails here fails again in Wait, which tells.
func (u *Uring) Gather() {
	if u.failed != nil || len(u.backlog) > 0 {
		return
	}
	_, _ = u.submit()
	u.ring.cq.empty() // look what there is to take
}
