//go:build linux

package ring

import "golang.org/x/sys/unix"

var _ Mover = (*Uring)(nil)

// Move implements Mover. Completions of an operation are posted by the thread
// that started it, whatever that does meanwhile: a thread that blocks is woken
// for it, one that burns processor time comes to it when it enters the kernel
// next. So everything in flight is cancelled and started again by the new
// owner, and a signal (the one by which Go's runtime preempts, which needs no
// handler of ours) makes the old thread post the cancellations now.
func (u *Uring) Move() {
	old := u.thread
	u.thread = unix.Gettid()
	if old == u.thread {
		return
	}
	u.next().prepareCancelAll(userDataCancel)
	_, _ = u.submit() // what it does not take, the next Wait submits
	_ = unix.Tgkill(unix.Getpid(), old, unix.SIGURG)
}
