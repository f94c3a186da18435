package seccomp

import "golang.org/x/sys/unix"

const architecture = unix.AUDIT_ARCH_X86_64

// older has the calls that only this architecture has.
var older = map[string]int{
	"access":     unix.SYS_ACCESS,
	"arch_prctl": unix.SYS_ARCH_PRCTL,
	"epoll_wait": unix.SYS_EPOLL_WAIT,
	"open":       unix.SYS_OPEN,
	"poll":       unix.SYS_POLL,
	"readlink":   unix.SYS_READLINK,
	"stat":       unix.SYS_STAT,
	"unlink":     unix.SYS_UNLINK,
	"chmod":      unix.SYS_CHMOD,
}
