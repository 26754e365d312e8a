//go:build unix

package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestHangupChangesNothing sends what other servers take as a wish to read their settings
// anew, and what a terminal sends that is closed.
func TestHangupChangesNothing(t *testing.T) {
	t.Parallel()
	i := startProcess(t, append(sqliteEnviron(t), "PARLEY_LOG_LEVEL=error")...)
	for range 2 {
		before := strings.Count(i.out.String(), "SIGHUP changes nothing")
		if err := i.process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, startLimit, "the log says that nothing is reloaded", func() bool {
			return strings.Count(i.out.String(), "SIGHUP changes nothing") > before
		})
	}
	if status := i.status(t, "/readyz"); status != 200 {
		t.Errorf("after SIGHUP the server answers %d, want 200", status)
	}
	i.stop(t)
}

// TestHangupOfATerminal closes what the log is written to: without a terminal nobody
// would know of the server that holds the port.
func TestHangupOfATerminal(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{ended: make(chan struct{})}
	cmd := exec.Command(binary(t))
	cmd.Env, cmd.Dir = sqliteEnviron(t), t.TempDir()
	cmd.Stdout, cmd.Stderr = &i.out, write
	i.begin(t, cmd)
	t.Cleanup(i.kill)
	i.waitReady(t)
	if err := read.Close(); err != nil {
		t.Fatal(err)
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	if err := i.process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	i.waitEnded(t)
}

// TestMakeRunEndsQuietly presses Ctrl-C on make run, which a terminal sends to all
// processes of the group.
func TestMakeRunEndsQuietly(t *testing.T) {
	t.Parallel()
	i := &instance{ended: make(chan struct{})}
	cmd := exec.Command("make", "--no-print-directory", "-C", "../..", "run", "BINARY="+t.TempDir()+"/parley")
	// As binary builds it, so that it is not compiled twice.
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "MAKEFLAGS=", "MAKELEVEL="), sqliteEnviron(t)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout, cmd.Stderr = &i.out, &i.out
	i.begin(t, cmd)
	group := -cmd.Process.Pid
	t.Cleanup(func() {
		_ = syscall.Kill(group, syscall.SIGKILL) // An error means that all have ended.
		<-i.ended
	})
	i.waitReady(t)
	if err := syscall.Kill(group, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	i.waitEnded(t)
	if out := i.out.String(); strings.Contains(out, "***") || !strings.Contains(out, "msg=ended") {
		t.Errorf("make run ends with\n%s\nwant the server's own end and no error of make", out)
	}
}
