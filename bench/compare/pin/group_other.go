//go:build !unix

package pin

import "os/exec"

func ownGroup(*exec.Cmd) {}

// End ends a program that Start has started.
func End(cmd *exec.Cmd, _ bool) { _ = cmd.Process.Kill() }

// Lives reports false: nobody knows.
func Lives(*exec.Cmd) bool { return false }
