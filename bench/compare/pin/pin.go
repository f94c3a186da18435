// Package pin starts programs on chosen CPUs.
package pin

import (
	"os/exec"
	"runtime"
)

// Start starts the program so that it and all its descendants run on these
// CPUs only; none means wherever the kernel likes. GOMAXPROCS of a Go program
// follows (unless the environment sets it). It gets a process group of its own.
func Start(cmd *exec.Cmd, cpus []int) error {
	ownGroup(cmd)
	if len(cpus) == 0 {
		return cmd.Start()
	}
	runtime.LockOSThread() // a child inherits the affinity of the thread that starts it
	defer runtime.UnlockOSThread()
	restore, err := set(cpus)
	if err != nil {
		return err
	}
	err = cmd.Start()
	if failed := restore(); failed != nil {
		return failed
	}
	return err
}

// On runs do on a thread that is pinned to these CPUs.
func On(cpus []int, do func()) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	restore, err := set(cpus)
	if err != nil {
		return err
	}
	do()
	return restore()
}
