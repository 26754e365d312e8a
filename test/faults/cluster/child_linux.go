package cluster

import (
	"os/exec"
	"syscall"
)

// The signals by which a process stands still and goes on.
const (
	Freeze = syscall.SIGSTOP
	Thaw   = syscall.SIGCONT
)

// endWithUs has a process killed also when the harness itself is.
func endWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
