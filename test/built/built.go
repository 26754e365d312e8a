// Package built has the server as it is released, for tests that use it from outside. It is
// built once a package of tests, when it is first asked for.
//
// Its one invariant: every test of a package gets the same file.
package built

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Server builds the server once, and returns where it is. It is safe for concurrent use.
var Server = sync.OnceValues(func() (path string, err error) {
	dir, err := os.MkdirTemp("", "parley-built-")
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "parley")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "parley/cmd/parley")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// Main runs the tests of a package, removes the server behind them, and returns their status.
func Main(m *testing.M) int {
	code := m.Run()
	if path, err := Server(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path)) // Left-overs in the temporary folder harm nobody.
	}
	return code
}
