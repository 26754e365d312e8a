package main

import (
	"os/exec"
	"syscall"
)

// endWithUs has a process killed also when the demo is, and keeps Ctrl-C from it: the demo ends it itself.
func endWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
