package seccomp

import "golang.org/x/sys/unix"

// Number returns the number of a system call, -1 if this architecture has none
// of that name, and whether the name is known at all.
func Number(name string) (number int, known bool) {
	if number, known = numbers[name]; !known {
		number, known = older[name]
	}
	return number, known
}

// Name returns the name of a system call, empty if it is not known here.
func Name(number int) string {
	for _, names := range []map[string]int{numbers, older} {
		for name, n := range names {
			if n == number {
				return name
			}
		}
	}
	return ""
}

// numbers has the calls that profiles and tests name, and both architectures have.
var numbers = map[string]int{
	"accept4":           unix.SYS_ACCEPT4,
	"bind":              unix.SYS_BIND,
	"brk":               unix.SYS_BRK,
	"capget":            unix.SYS_CAPGET,
	"clock_gettime":     unix.SYS_CLOCK_GETTIME,
	"clock_nanosleep":   unix.SYS_CLOCK_NANOSLEEP,
	"clone":             unix.SYS_CLONE,
	"clone3":            unix.SYS_CLONE3,
	"close":             unix.SYS_CLOSE,
	"connect":           unix.SYS_CONNECT,
	"copy_file_range":   unix.SYS_COPY_FILE_RANGE,
	"dup3":              unix.SYS_DUP3,
	"epoll_create1":     unix.SYS_EPOLL_CREATE1,
	"epoll_ctl":         unix.SYS_EPOLL_CTL,
	"epoll_pwait":       unix.SYS_EPOLL_PWAIT,
	"epoll_pwait2":      unix.SYS_EPOLL_PWAIT2,
	"eventfd2":          unix.SYS_EVENTFD2,
	"execve":            unix.SYS_EXECVE,
	"exit":              unix.SYS_EXIT,
	"exit_group":        unix.SYS_EXIT_GROUP,
	"faccessat":         unix.SYS_FACCESSAT,
	"faccessat2":        unix.SYS_FACCESSAT2,
	"fchmodat":          unix.SYS_FCHMODAT,
	"fchownat":          unix.SYS_FCHOWNAT,
	"fcntl":             unix.SYS_FCNTL,
	"fdatasync":         unix.SYS_FDATASYNC,
	"fstat":             unix.SYS_FSTAT,
	"fstatfs":           unix.SYS_FSTATFS,
	"fsync":             unix.SYS_FSYNC,
	"ftruncate":         unix.SYS_FTRUNCATE,
	"futex":             unix.SYS_FUTEX,
	"getcwd":            unix.SYS_GETCWD,
	"getdents64":        unix.SYS_GETDENTS64,
	"getegid":           unix.SYS_GETEGID,
	"geteuid":           unix.SYS_GETEUID,
	"getgid":            unix.SYS_GETGID,
	"getpeername":       unix.SYS_GETPEERNAME,
	"getpid":            unix.SYS_GETPID,
	"getppid":           unix.SYS_GETPPID,
	"getrandom":         unix.SYS_GETRANDOM,
	"getrlimit":         unix.SYS_GETRLIMIT,
	"getrusage":         unix.SYS_GETRUSAGE,
	"getsockname":       unix.SYS_GETSOCKNAME,
	"getsockopt":        unix.SYS_GETSOCKOPT,
	"gettid":            unix.SYS_GETTID,
	"getuid":            unix.SYS_GETUID,
	"io_uring_enter":    unix.SYS_IO_URING_ENTER,
	"io_uring_register": unix.SYS_IO_URING_REGISTER,
	"io_uring_setup":    unix.SYS_IO_URING_SETUP,
	"ioctl":             unix.SYS_IOCTL,
	"kill":              unix.SYS_KILL,
	"listen":            unix.SYS_LISTEN,
	"lseek":             unix.SYS_LSEEK,
	"madvise":           unix.SYS_MADVISE,
	"membarrier":        unix.SYS_MEMBARRIER,
	"mincore":           unix.SYS_MINCORE,
	"mkdirat":           unix.SYS_MKDIRAT,
	"mmap":              unix.SYS_MMAP,
	"mprotect":          unix.SYS_MPROTECT,
	"mremap":            unix.SYS_MREMAP,
	"munmap":            unix.SYS_MUNMAP,
	"nanosleep":         unix.SYS_NANOSLEEP,
	"newfstatat":        unix.SYS_NEWFSTATAT,
	"openat":            unix.SYS_OPENAT,
	"openat2":           unix.SYS_OPENAT2,
	"pipe2":             unix.SYS_PIPE2,
	"ppoll":             unix.SYS_PPOLL,
	"prctl":             unix.SYS_PRCTL,
	"pread64":           unix.SYS_PREAD64,
	"prlimit64":         unix.SYS_PRLIMIT64,
	"preadv2":           unix.SYS_PREADV2,
	"pwrite64":          unix.SYS_PWRITE64,
	"read":              unix.SYS_READ,
	"readlinkat":        unix.SYS_READLINKAT,
	"readv":             unix.SYS_READV,
	"recvfrom":          unix.SYS_RECVFROM,
	"recvmsg":           unix.SYS_RECVMSG,
	"renameat":          unix.SYS_RENAMEAT,
	"restart_syscall":   unix.SYS_RESTART_SYSCALL,
	"rseq":              unix.SYS_RSEQ,
	"rt_sigaction":      unix.SYS_RT_SIGACTION,
	"rt_sigprocmask":    unix.SYS_RT_SIGPROCMASK,
	"rt_sigreturn":      unix.SYS_RT_SIGRETURN,
	"sched_getaffinity": unix.SYS_SCHED_GETAFFINITY,
	"sched_setaffinity": unix.SYS_SCHED_SETAFFINITY,
	"sched_yield":       unix.SYS_SCHED_YIELD,
	"seccomp":           unix.SYS_SECCOMP,
	"sendfile":          unix.SYS_SENDFILE,
	"sendmsg":           unix.SYS_SENDMSG,
	"sendto":            unix.SYS_SENDTO,
	"set_robust_list":   unix.SYS_SET_ROBUST_LIST,
	"set_tid_address":   unix.SYS_SET_TID_ADDRESS,
	"setitimer":         unix.SYS_SETITIMER,
	"setrlimit":         unix.SYS_SETRLIMIT,
	"setsockopt":        unix.SYS_SETSOCKOPT,
	"shutdown":          unix.SYS_SHUTDOWN,
	"sigaltstack":       unix.SYS_SIGALTSTACK,
	"socket":            unix.SYS_SOCKET,
	"socketpair":        unix.SYS_SOCKETPAIR,
	"splice":            unix.SYS_SPLICE,
	"statfs":            unix.SYS_STATFS,
	"statx":             unix.SYS_STATX,
	"tgkill":            unix.SYS_TGKILL,
	"timer_create":      unix.SYS_TIMER_CREATE,
	"timer_delete":      unix.SYS_TIMER_DELETE,
	"timer_settime":     unix.SYS_TIMER_SETTIME,
	"tkill":             unix.SYS_TKILL,
	"utimensat":         unix.SYS_UTIMENSAT,
	"memfd_create":      unix.SYS_MEMFD_CREATE,
	"uname":             unix.SYS_UNAME,
	"unlinkat":          unix.SYS_UNLINKAT,
	"write":             unix.SYS_WRITE,
	"writev":            unix.SYS_WRITEV,
}
