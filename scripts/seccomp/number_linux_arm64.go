package seccomp

import "golang.org/x/sys/unix"

const architecture = unix.AUDIT_ARCH_AARCH64

// older has the calls of older architectures that this one has done without.
var older = map[string]int{
	"access": -1, "arch_prctl": -1, "epoll_wait": -1, "open": -1, "poll": -1,
	"readlink": -1, "stat": -1, "unlink": -1, "chmod": -1,
}
