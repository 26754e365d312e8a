//go:build failpoints && unix

package failpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// FromFiles arms points of this process from a folder, while it runs: a file with
// the name of a point says what the next goroutine that reaches the point does.
// The file is renamed to name.hit first, so that it happens once, and so that the
// test sees that it did; this process adds its id to it. A file holds one word:
//
//	kill   the process ends as a crash ends it
//	stop   the process stands still until it gets SIGCONT
//	panic  the goroutine panics
//
// It is compiled into binaries with the tag failpoints only, which run on Unix.
func FromFiles(dir string) {
	Set(func(name string) {
		armed := filepath.Join(dir, name)
		hit := armed + ".hit"
		if os.Rename(armed, hit) != nil {
			return // Not armed: the usual case.
		}
		action, err := os.ReadFile(hit)
		if err != nil {
			panic(fmt.Sprintf("failpoint %s: %v", name, err))
		}
		_ = os.WriteFile(hit, fmt.Appendf(nil, "%s %d", action, os.Getpid()), 0o600) // The test misses it at worst.
		switch strings.TrimSpace(string(action)) {
		case "kill":
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL) // Cannot fail for oneself.
			select {}
		case "stop":
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		default:
			panic(fmt.Sprintf("failpoint %s: %s", name, action))
		}
	})
}
