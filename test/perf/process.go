package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopLimit is how long a process may take to end when it is asked to.
const stopLimit = 20 * time.Second

// process is a program that runs beside this one, and ends with it.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
	err   error         // of its end; read it after ended only
}

// spawn starts a program. It is killed when this one dies.
func spawn(cmd *exec.Cmd) (*process, error) {
	endWithUs(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		p.err = cmd.Wait()
	}()
	return p, nil
}

// spawnSelf starts this command as something else, and returns the address that it
// writes when it serves.
func spawnSelf(args ...string) (*process, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = reader.Close() }() // Nothing follows the first line.
	cmd := exec.Command(self, args...)
	cmd.Env = []string{} // Also no proxies.
	cmd.Stdout, cmd.Stderr = writer, os.Stderr
	p, err := spawn(cmd)
	_ = writer.Close() // The process has its own.
	if err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil {
		p.stop()
		return nil, "", fmt.Errorf("%s does not say where it serves: %w", args[0], err)
	}
	return p, strings.TrimSpace(line), nil
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// stop asks the process to end, and kills it when it does not.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // It may have ended.
	timer := time.NewTimer(stopLimit)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		_ = p.cmd.Process.Kill() // It may just have ended.
		<-p.ended
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// residentOf returns the resident memory of a process in bytes.
func residentOf(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return parseResident(text)
}

func parseResident(status []byte) (int64, error) {
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			n, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest),
				[]byte("kB")))), 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("/proc/PID/status says no VmRSS")
}

// meter watches the resident memory of a process.
type meter struct {
	end  context.CancelFunc
	done sync.WaitGroup
	peak int64
	last int64
	err  error
}

// watch begins to look at a process, many times a second. Call stop once.
func watch(ctx context.Context, pid int) *meter {
	ctx, cancel := context.WithCancel(ctx)
	m := &meter{end: cancel}
	m.done.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			n, err := residentOf(pid)
			if err != nil {
				m.err = err
				return
			}
			m.peak, m.last = max(m.peak, n), n
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	return m
}

// stop returns the highest and the last figure.
func (m *meter) stop() (peak, last int64, err error) {
	m.end()
	m.done.Wait()
	return m.peak, m.last, m.err
}
