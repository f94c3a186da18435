//go:build unix

package target

import (
	"os/exec"
	"syscall"
)

// ownGroup makes the program the leader of a process group, so that all its
// processes can be ended.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// endGroup asks the program to end, or kills every process of its group.
func endGroup(cmd *exec.Cmd, kill bool) {
	if kill {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // an error: nobody is left
		return
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
}
