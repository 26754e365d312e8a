package main

import (
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// endWithUs has a process killed when this one dies.
func endWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// cpuOf returns the processor time that a process has used, its children's left out. It
// reads the process's clock: /proc/PID/stat counts in hundredths of a second, which is
// ten replies of the relay.
func cpuOf(pid int) (time.Duration, error) {
	var now unix.Timespec
	// The clock of a process by its number, as clock_getcpuclockid(3) makes it.
	if err := unix.ClockGettime(int32(^pid<<3|2), &now); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return time.Duration(now.Nano()), nil
}

// loadAverage returns that of the last minute.
func loadAverage() (float64, error) {
	var info unix.Sysinfo_t
	err := unix.Sysinfo(&info)
	return float64(info.Loads[0]) / 65536, err
}

// maxDescriptors is how many files a process may have open.
func maxDescriptors() (uint64, error) {
	var limit unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	return limit.Max, err
}
