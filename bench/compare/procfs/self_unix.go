//go:build unix

package procfs

import (
	"syscall"
	"time"
)

// ReadSelf returns this process's own processor time, without its children.
func ReadSelf() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
