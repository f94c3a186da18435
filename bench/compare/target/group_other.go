//go:build !unix

package target

import "os/exec"

func ownGroup(*exec.Cmd) {}

func endGroup(cmd *exec.Cmd, _ bool) { _ = cmd.Process.Kill() }
