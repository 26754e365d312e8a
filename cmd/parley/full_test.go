//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"parley/internal/store"
	"parley/internal/upstream/eliza"
	"parley/internal/upstream/upstreamtest"
)

// limitFiles keeps a process from making any file larger than this. The system
// answers a write beyond it as it answers one to a full disk; 0 lifts the limit.
func (i *instance) limitFiles(t *testing.T, size uint64) {
	t.Helper()
	limit := unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY}
	if size == 0 {
		limit.Cur = unix.RLIM_INFINITY
	}
	if err := unix.Prlimit(i.process.Pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		t.Fatal(err)
	}
}

// TestDiskFull fills the disk under SQLite in the middle of a storm of sends and
// while a reply is being written. When there is room again the server goes on as it
// is, or, killed meanwhile, a new one does.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"room again", "killed while full"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, baseURL := upstreamtest.Start(t)
			dir := t.TempDir()
			environ := []string{
				"PARLEY_ADDR=127.0.0.1:0", "PARLEY_DATA_DIR=" + dir, "OPENAI_BASE_URL=" + baseURL, "PARLEY_ELIZA=on",
				"PARLEY_MODEL=test",
				"PARLEY_SENDS_PER_MINUTE=0", "PARLEY_MAX_RUNNING=1000",
			}
			i := startProcess(t, environ...)
			token := i.signUp(t, "ada@example.com").AccessToken
			const senders = 4
			storms := make([]*storm, senders)
			var all sync.WaitGroup
			var acked, refused atomic.Int64
			quiet, stop := context.WithCancel(t.Context())
			defer stop()
			for n := range storms {
				storms[n] = &storm{name: fmt.Sprintf("full-%d", n), acked: &acked, refused: &refused}
				all.Go(func() { storms[n].run(t, quiet, i, token) })
			}
			eventually(t, startLimit, "sends are answered", func() bool { return acked.Load() > 5*senders })
			running := i.mustSend(t, token, map[string]any{"content": longQuestion, "model": eliza.Model})

			info, err := os.Stat(store.SQLitePath(dir) + "-wal")
			if err != nil {
				t.Fatal(err)
			}
			i.limitFiles(t, uint64(info.Size()))
			eventually(t, startLimit, "sends are refused", func() bool { return refused.Load() > 10*senders })
			if status := i.status(t, "/healthz"); status != http.StatusOK {
				t.Errorf("GET /healthz = %d, want 200", status)
			}
			if a := i.ask(t, token, `{ conversations { nodes { id } } }`, nil); a.code() != "" {
				t.Errorf("reading: %v, want it to go on", a.Errors)
			}

			i.checkCalm(t)
			if name == "room again" {
				i.limitFiles(t, 0)
				before := acked.Load()
				eventually(t, startLimit, "sends are answered again",
					func() bool { return acked.Load() > before+senders })
				stop()
				all.Wait()
			} else {
				stop()
				all.Wait()
				i.kill()
				checkIntegrity(t, dir)
				i = startProcess(t, environ...)
			}
			for _, s := range storms {
				s.check(t, i, token)
			}
			eventually(t, startLimit, "the reply that was being written is whole", func() bool {
				return i.reply(t, token, running.Reply.ID).Status == "COMPLETED"
			})
			i.checkCalm(t)
			i.stop(t)
			checkIntegrity(t, dir)
			t.Logf("%d sends answered, %d refused", acked.Load(), refused.Load())
		})
	}
}

// checkCalm fails the test when the server has met something that it does not know.
func (i *instance) checkCalm(t *testing.T) {
	t.Helper()
	if out := i.out.String(); strings.Contains(out, "internal error") || strings.Contains(out, "panic") {
		t.Errorf("want neither panic nor internal error:\n%s", out)
	}
}
