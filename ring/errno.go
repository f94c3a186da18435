package ring

import (
	"fmt"
	"syscall"
)

// RefusedError says that io_uring cannot be had here: not on this system, not
// in this kernel, or not for this process. Another driver is called for; trying
// again is not. Errors that are about the moment (out of memory, out of files)
// are never a RefusedError.
type RefusedError struct {
	// Step is what was refused, such as "io_uring_setup".
	Step string
	// Errno is the kernel's answer, 0 if it was never asked.
	Errno syscall.Errno
	// Cause says in plain words why, as far as can be known.
	Cause string
	// Cure says what would help, empty if nothing does.
	Cure string
}

// Error is one line: what, why, and the cure.
func (e *RefusedError) Error() string {
	s := "io_uring is not available: "
	if e.Step != "" {
		s += e.Step + ": "
	}
	if e.Errno != 0 {
		s += e.Errno.Error() + ": "
	}
	s += e.Cause
	if e.Cure != "" {
		s += fmt.Sprintf(" (%s)", e.Cure)
	}
	return s
}

// Unwrap returns the kernel's answer, so that errors.Is finds it.
func (e *RefusedError) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}
