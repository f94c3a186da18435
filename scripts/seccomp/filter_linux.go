package seccomp

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Where struct seccomp_data (seccomp(2)) has what a filter looks at.
const (
	atNumber       = 0
	atArchitecture = 4
	atArguments    = 16 // six of 8 octets, on ringcore's architectures the lower half first
)

const (
	load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	and   = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	ret   = unix.BPF_RET | unix.BPF_K
)

// Compile makes a filter for this architecture. As in a container, names that
// it has no system call for are left out; a name that Number does not know
// anywhere is an error.
func (p *Profile) Compile() ([]unix.SockFilter, error) {
	program := []unix.SockFilter{
		{Code: load, K: atArchitecture},
		{Code: equal, K: architecture, Jt: 1},
		{Code: ret, K: unix.SECCOMP_RET_KILL_PROCESS},
	}
	for _, rule := range p.Syscalls {
		verdict, err := verdictOf(rule.Action, rule.ErrnoRet)
		if err != nil {
			return nil, err
		}
		for _, name := range rule.Names {
			number, known := Number(name)
			if !known {
				return nil, fmt.Errorf("seccomp: unknown system call %q", name)
			}
			if number < 0 {
				continue
			}
			block, err := compare(rule.Args)
			if err != nil {
				return nil, fmt.Errorf("seccomp: %s: %w", name, err)
			}
			block = append(block, unix.SockFilter{Code: ret, K: verdict})
			program = append(program,
				unix.SockFilter{Code: load, K: atNumber},
				unix.SockFilter{Code: equal, K: uint32(number), Jf: uint8(len(block))})
			program = append(program, block...)
		}
	}
	verdict, err := verdictOf(p.DefaultAction, p.DefaultErrnoRet)
	return append(program, unix.SockFilter{Code: ret, K: verdict}), err
}

// compare falls through where all arguments fit, and else jumps over the
// instruction behind it.
func compare(args []Arg) ([]unix.SockFilter, error) {
	var code []unix.SockFilter
	for _, a := range args {
		mask, want := ^uint64(0), a.Value
		switch {
		case a.Index > 5:
			return nil, fmt.Errorf("argument %d: want 0 to 5", a.Index)
		case a.Op == MaskedEqual:
			mask, want = a.Value, a.ValueTwo
		case a.Op != Equal:
			return nil, fmt.Errorf("comparison %q: want %s or %s", a.Op, Equal, MaskedEqual)
		}
		for half := range uint32(2) {
			code = append(code,
				unix.SockFilter{Code: load, K: atArguments + 8*a.Index + 4*half},
				unix.SockFilter{Code: and, K: uint32(mask >> (32 * half))},
				unix.SockFilter{Code: equal, K: uint32(want >> (32 * half))})
		}
	}
	for i := range code {
		if code[i].Code == equal {
			code[i].Jf = uint8(len(code) - i)
		}
	}
	return code, nil
}

func verdictOf(a Action, errno uint32) (uint32, error) {
	switch a {
	case ActAllow:
		return unix.SECCOMP_RET_ALLOW, nil
	case ActTrap:
		return unix.SECCOMP_RET_TRAP, nil
	case ActErrno:
		if errno == 0 {
			errno = uint32(unix.EPERM)
		}
		return unix.SECCOMP_RET_ERRNO | errno&unix.SECCOMP_RET_DATA, nil
	}
	return 0, fmt.Errorf("seccomp: action %q: want %s, %s or %s", a, ActAllow, ActErrno, ActTrap)
}

// Apply puts the profile into force for all threads of this process, and what
// it executes, for good. It needs no privilege, and ends all hope of gaining
// any: PR_SET_NO_NEW_PRIVS of prctl(2).
func (p *Profile) Apply() error {
	program, err := p.Compile()
	if err != nil {
		return err
	}
	runtime.LockOSThread() // SECCOMP_FILTER_FLAG_TSYNC carries the thread's flag to the others
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("seccomp: prctl(PR_SET_NO_NEW_PRIVS): %w", err)
	}
	list := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&list)))
	if errno != 0 {
		return fmt.Errorf("seccomp: seccomp(SET_MODE_FILTER): %w", errno)
	}
	return nil
}
