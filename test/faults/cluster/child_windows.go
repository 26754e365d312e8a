package cluster

import (
	"os/exec"
	"syscall"
)

// Freeze and Thaw cannot be sent here: the harness is compiled, and does not run.
const (
	Freeze = syscall.Signal(19)
	Thaw   = syscall.Signal(18)
)

// endWithUs does nothing: the system has no such thing.
func endWithUs(*exec.Cmd) {}
