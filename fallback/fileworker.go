//go:build linux

package fallback

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ringcore/ringcore/ring"
)

// start queues a call, and starts a goroutine for it while there are few.
func (f *Files) start(call fileJob) {
	f.handed = true
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.spare
	if j == nil {
		j = new(fileJob)
	} else {
		f.spare = j.next
	}
	*j = call
	if f.last == nil {
		f.first = j
	} else {
		f.last.next = j
	}
	f.last = j
	if f.workers < maxFileWorkers {
		f.workers++
		go f.work()
	}
}

// keep keeps j for the next call. f.mu is held.
func (f *Files) keep(j *fileJob) {
	*j = fileJob{next: f.spare}
	f.spare = j
}

// runJobs makes the calls that wait, until there is none left.
func (f *Files) runJobs() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for j := f.first; j != nil; j = f.first {
		if f.first = j.next; f.first == nil {
			f.last = nil
		}
		f.mu.Unlock()
		ev := j.run(f.stepwise)
		f.mu.Lock()
		if ev.Op != ring.OpNone {
			f.done = append(f.done, ev)
			f.ready.Store(true)
			f.Wake() // the driver's; it does not wait
		}
		f.keep(j)
	}
	if f.workers--; f.workers == 0 && f.ended != nil {
		close(f.ended)
	}
}

func (j *fileJob) run(stepwise bool) ring.Event {
	ev := ring.Event{Token: j.token, Op: j.op}
	switch j.op {
	case ring.OpOpen:
		ev.Err = unix.ENOSYS
		if !stepwise {
			ev.N, ev.Err = j.request.Do(j.fd, 0)
		}
		if ev.Err == unix.ENOSYS || ev.Err == unix.EPERM { // no openat2 (Linux 5.6), or a filter forbids it
			ev.N, ev.Err = openStepwise(j.fd, j.request)
		}
		ev.N = max(ev.N, 0)
	case ring.OpRead:
		n, err := unix.Pread(j.fd, j.p, j.offset)
		if err != nil {
			n, ev.Err = 0, errnoOf(err)
		}
		ev.N = n
	case ring.OpSendFile:
		ev.N, ev.Err = j.send()
	default:
		_ = unix.Close(j.fd)
	}
	return ev
}

// openStepwise opens what r names without openat2. Where nothing outside of dir
// may be reached it goes from directory to directory and follows no symbolic
// link at all: less than openat2 allows, and never more.
func openStepwise(dir int, r *ring.OpenRequest) (fd int, errno syscall.Errno) {
	const flags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_LARGEFILE
	path, at, follow := r.Path(), dir, 0
	if r.Beneath() {
		if strings.HasPrefix(path, "/") {
			return -1, unix.EXDEV
		}
		follow = unix.O_NOFOLLOW
		for {
			step, rest, more := strings.Cut(path, "/")
			if step == ".." || more && rest == ".." {
				errno = unix.EXDEV
				break
			}
			if !more {
				break
			}
			if path = rest; step == "" || step == "." {
				continue
			}
			next, err := unix.Openat(at, step, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			if at != dir {
				_ = unix.Close(at)
			}
			if err != nil {
				return -1, errnoOf(err)
			}
			at = next
		}
		if path == "" {
			path = "."
		}
	}
	if errno == 0 {
		var err error
		if fd, err = unix.Openat(at, path, flags|follow, 0); err != nil {
			errno = errnoOf(err)
		}
	}
	if at != dir {
		_ = unix.Close(at)
	}
	if errno != 0 {
		return -1, errno
	}
	ring.Opened(fd)
	return fd, 0
}
