package attacks_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/test/built"

	"parley/internal/waittest"
)

const (
	// memory is what a server may have. It is killed, or ends by itself, beyond that.
	memory = 512 << 20
	// resident is what it may have had when all is over.
	resident = 400 << 20
	// patience bounds waits, on a machine that others use.
	patience = waittest.Limit
)

func TestMain(m *testing.M) { os.Exit(built.Main(m)) }

// server is a running server, on SQLite unless it is told otherwise, with stock limits.
type server struct {
	addr  string
	cmd   *exec.Cmd
	log   bytes.Buffer
	ended chan struct{}
}

// start starts a server in the limit, with more settings. When the test ends it is asked
// whether it has kept to it.
func start(t *testing.T, settings ...string) *server {
	t.Helper()
	path, err := built.Server()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{ended: make(chan struct{})}
	s.cmd = exec.Command("sh", "-c", `ulimit -d "$1" && exec "$2"`, "sh", strconv.Itoa(memory>>10), path)
	// In production: a development server does not limit its developer.
	s.cmd.Env = append([]string{"PARLEY_ADDR=127.0.0.1:0", "PARLEY_MODE=production", "PARLEY_DATA_DIR=" + t.TempDir(),
		"PARLEY_SIGNUP=open", "PARLEY_SENDS_PER_MINUTE=0"}, settings...)
	s.cmd.Stderr = &s.log
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr := make(chan string, 1)
	go func() {
		defer close(s.ended)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if _, rest, ok := strings.Cut(lines.Text(), "listening on http://"); ok {
				addr <- strings.Fields(rest)[0] // It says so once.
			}
		}
		_ = s.cmd.Wait() // How it ended is in its log.
	}()
	t.Cleanup(func() { s.stop(t) })
	select {
	case s.addr = <-addr:
	case <-s.ended:
		t.Fatalf("the server ended:\n%s", s.log.Bytes())
	case <-time.After(patience):
		t.Fatal("the server does not say where it listens")
	}
	s.await(t)
	return s
}

// await waits until the server is ready.
func (s *server) await(t *testing.T) {
	t.Helper()
	late := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if resp, err := http.Get("http://" + s.addr + "/readyz"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-tick.C:
		case <-s.ended:
			t.Fatalf("the server ended:\n%s", s.log.Bytes())
		case <-late:
			t.Fatal("the server is not ready")
		}
	}
}

// stop ends the server, and fails the test when it had ended or has had too much memory.
func (s *server) stop(t *testing.T) {
	peak, err := s.peak()
	if err != nil { // The process is gone.
		<-s.ended
		text := s.log.Bytes()
		t.Errorf("the attack took the server down:\n%s", text[:min(len(text), 4000)])
		return
	}
	t.Logf("the server has had %d MiB of memory", peak>>20)
	if peak > resident {
		t.Errorf("that is more than %d", resident>>20)
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // It may just have ended.
	select {
	case <-s.ended:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

// cpu is how much time of processors the server has had.
func (s *server) cpu(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	// The second field is a name in brackets, in which anything may stand.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	total := time.Duration(0)
	for _, field := range fields[11:13] { // For itself, and in the kernel: in hundredths of a second.
		n, err := strconv.Atoi(string(field))
		if err != nil {
			t.Fatal(err)
		}
		total += time.Duration(n) * 10 * time.Millisecond
	}
	return total
}

// peak is the most memory that the server has had at once.
func (s *server) peak() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			n, err := strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("/proc does not say how much memory the server has had")
}
