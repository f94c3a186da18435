//go:build linux

package fallback

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// fileSend is a SendFile in flight: with the goroutines, or waiting for room in
// its socket.
//
// Why sendfile(2) by goroutines, and not splice by io_uring: in the kernel each
// splice goes to a worker thread as well, and takes two, through a pipe of 1 MiB
// for each connection to cost as little (10 MiB: 1.07 ms by splice, 1.08 by
// goroutines, 2.2 by reading and sending), while a reader that is slow holds up
// a thread. This is the same for both drivers.
type fileSend struct {
	next      *fileSend // spare
	fd, file  int
	offset    int64
	n         int
	cancelled bool // its end is wanted
	waits     bool // for room
}

// SendFile implements ring.FileSender.
func (f *Files) SendFile(fd int, t ring.Token, file int, offset, n int64, full bool) {
	f.submitted++
	if f.waiter == nil {
		f.direct = append(f.direct, ring.Event{Token: t, Op: ring.OpSendFile, Err: unix.EOPNOTSUPP})
		return
	}
	s := f.spareSends
	if s == nil {
		s = new(fileSend)
	} else {
		f.spareSends = s.next
	}
	*s = fileSend{fd: fd, file: file, offset: offset, n: int(min(n, ring.SendFileMax))}
	f.sends[t] = s
	if full {
		f.waitForRoom(t, s)
	} else {
		f.startSend(t, s)
	}
}

func (f *Files) startSend(t ring.Token, s *fileSend) {
	f.start(fileJob{op: ring.OpSendFile, token: t, fd: s.file, socket: s.fd, offset: s.offset, n: s.n})
}

func (f *Files) waitForRoom(t ring.Token, s *fileSend) {
	s.waits = true
	f.waiter.Writable(s.fd, t)
}

// sent takes what a goroutine brings, and reports whether that is the end.
func (f *Files) sent(ev *ring.Event) bool {
	s := f.sends[ev.Token]
	if s == nil {
		return true // it was refused
	}
	if ev.Err == unix.EAGAIN {
		if !s.cancelled {
			f.waitForRoom(ev.Token, s)
			return false
		}
		ev.Err = unix.ECANCELED
	}
	delete(f.sends, ev.Token)
	s.next, f.spareSends = f.spareSends, s
	return true
}

// writable goes on with a send whose socket has room, or has failed.
func (f *Files) writable(ev *ring.Event) {
	s := f.sends[ev.Token]
	s.waits = false
	switch {
	case s.cancelled:
		f.direct = append(f.direct, ring.Event{Token: ev.Token, Op: ring.OpSendFile, Err: unix.ECANCELED})
	case ev.Err == 0, ev.Err == unix.ECANCELED: // the driver has moved
		f.startSend(ev.Token, s)
	default:
		f.direct = append(f.direct, ring.Event{Token: ev.Token, Op: ring.OpSendFile, Err: ev.Err})
	}
}

func (f *Files) cancelSend(t ring.Token) {
	s := f.sends[t]
	if s == nil || s.cancelled {
		return
	}
	s.cancelled = true
	if s.waits {
		f.Driver.Cancel(s.fd, t, ring.OpWritable)
	} else {
		f.giveUp(t, ring.OpSendFile)
	}
}

// send makes the call, which must not wait for the peer. io_uring's sockets are in
// blocking mode until then. It does not care: what decides whether its sends and
// receives wait is MSG_DONTWAIT.
func (j *fileJob) send() (int, syscall.Errno) {
	flags, _, errno := unix.RawSyscall(unix.SYS_FCNTL, uintptr(j.socket), unix.F_GETFL, 0)
	if errno != 0 {
		return 0, errno
	}
	if flags&unix.O_NONBLOCK == 0 {
		_, _, _ = unix.RawSyscall(unix.SYS_FCNTL, uintptr(j.socket), unix.F_SETFL, flags|unix.O_NONBLOCK)
	}
	n, err := unix.Sendfile(j.socket, j.fd, &j.offset, j.n)
	if err != nil {
		return 0, errnoOf(err)
	}
	return n, 0
}
