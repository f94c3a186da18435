//go:build unix

package pin

import (
	"os/exec"
	"syscall"
)

// ownGroup makes the program the leader of a process group: what a terminal
// sends to ours does not reach it, and all its processes can be ended.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// End asks a program that Start has started to end, or kills every process of
// its group.
func End(cmd *exec.Cmd, kill bool) {
	if kill {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // an error: nobody is left
		return
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
}

// Lives reports whether a process of the program's group is still there.
func Lives(cmd *exec.Cmd) bool { return syscall.Kill(-cmd.Process.Pid, 0) == nil }
