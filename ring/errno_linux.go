package ring

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// stepBufferRing is the step that patched kernels fail at: they set rings up,
// and cannot do what a 5.19 kernel does with them.
const stepBufferRing = "io_uring_register(PBUF_RING)"

// stepError is a step on the way to a working ring that failed.
type stepError struct {
	step  string
	errno syscall.Errno
	note  string // what was seen instead, where errno is 0
}

func (e *stepError) Error() string {
	if e.errno == 0 {
		return e.step + ": " + e.note
	}
	return e.step + ": " + e.errno.Error()
}

func (e *stepError) Unwrap() error {
	if e.errno == 0 {
		return nil
	}
	return e.errno
}

// verdict is what an error on the way to a working ring means.
type verdict uint8

const (
	stepDown verdict = iota // this tier does not work; a lower one may
	refuse                  // no tier will work
	fail                    // a matter of resources: an error, not a reason to do without
)

// verdictOf is the one table of set-up errors. What it does not name, EINVAL
// and EOPNOTSUPP above all, is how a kernel says that it does not know
// something.
func verdictOf(errno syscall.Errno) verdict {
	switch errno {
	case unix.ENOSYS, unix.EPERM, unix.EACCES:
		return refuse
	case unix.ENOMEM, unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.EAGAIN, unix.EBUSY, errSilence:
		return fail
	}
	return stepDown
}

// explain makes the final error out of a step that failed: a RefusedError, or
// an error which says what ran out.
func explain(err error) error {
	var failed *stepError
	if !errors.As(err, &failed) {
		return fmt.Errorf("ring: %w", err)
	}
	if verdictOf(failed.errno) == fail {
		return exhausted(failed)
	}
	setting, _ := os.ReadFile("/proc/sys/kernel/io_uring_disabled")
	return refused(failed, strings.TrimSpace(string(setting)))
}

func exhausted(failed *stepError) error {
	advice := ""
	switch failed.errno {
	case unix.ENOMEM:
		advice = " (" + memoryAdvice() + ")"
	case unix.EMFILE:
		advice = " (this process is at RLIMIT_NOFILE, ulimit -n)"
	case unix.ENFILE:
		advice = " (the system is at fs.file-max)"
	case unix.EAGAIN:
		advice = " (no memory for an operation at the moment, or a seccomp profile that says so)"
	case errSilence:
		advice = " (the kernel completed nothing: try again)"
	}
	return fmt.Errorf("ring: %w%s", failed, advice)
}

// memoryAdvice tells the limit that rings count against on some kernels, for
// processes without CAP_IPC_LOCK.
func memoryAdvice() string {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit); err != nil || limit.Cur == unix.RLIM_INFINITY {
		return "out of memory; RLIMIT_MEMLOCK is unlimited"
	}
	return fmt.Sprintf("out of memory, or over RLIMIT_MEMLOCK, %d KiB for the rings of all processes of a user: "+
		"raise it with ulimit -l, LimitMEMLOCK= of systemd or --ulimit memlock of Docker, or run fewer loops", limit.Cur>>10)
}

// refused finds words for a refusal. disabled is the value of the sysctl
// kernel.io_uring_disabled (Linux 6.6), empty where there is none.
func refused(failed *stepError, disabled string) *RefusedError {
	e := &RefusedError{Step: failed.step, Errno: failed.errno}
	switch {
	case failed.errno == unix.EPERM && disabled == "2":
		e.Cause = "the sysctl kernel.io_uring_disabled is 2: switched off for everyone"
		e.Cure = "set kernel.io_uring_disabled=0"
	case failed.errno == unix.EPERM && disabled == "1":
		e.Cause = "the sysctl kernel.io_uring_disabled is 1: for members of kernel.io_uring_group and CAP_SYS_ADMIN only"
		e.Cure = "set kernel.io_uring_disabled=0, or run as a member of that group"
	case failed.errno == unix.EPERM:
		e.Cause = "forbidden, most likely by the container's seccomp profile: Docker's and containerd's default forbids it"
		e.Cure = "allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp profile"
	case failed.errno == unix.EACCES:
		e.Cause = "forbidden by a security module"
		e.Cure = "allow io_uring in the policy of SELinux, AppArmor or the like"
	case failed.errno == unix.ENOSYS:
		e.Cause = "the kernel has no io_uring, or a seccomp profile says so"
		e.Cure = "use Linux 5.19 or later built with CONFIG_IO_URING, and allow io_uring_setup, io_uring_enter and io_uring_register"
	case failed.step == stepBufferRing:
		e.Cause = "the kernel has io_uring but no provided buffer rings: older than 5.19, whatever its version number says"
		e.Cure = "use Linux 5.19 or later"
	case failed.errno == unix.EINVAL:
		e.Cause = "the kernel is older than 5.19"
		e.Cure = "use Linux 5.19 or later"
	case failed.errno == 0:
		e.Cause = failed.note
		e.Cure = "use a later kernel"
	default:
		e.Cause = "this kernel's io_uring does not work as needed"
		e.Cure = "use a later kernel"
	}
	return e
}

// errnoOf finds the errno in err.
func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	errors.As(err, &errno)
	return errno
}
