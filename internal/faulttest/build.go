package faulttest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// builder builds the server once, with failpoints. remove deletes it.
type builder struct {
	dir  string
	path func() (string, error)
}

// newBuilder prepares the build; the first call of path pays for it. With race the
// server runs under the race detector, and ends with status 66 on its first race.
func newBuilder(race bool) (*builder, error) {
	dir, err := os.MkdirTemp("", "parley-fault-binary-")
	if err != nil {
		return nil, err
	}
	return &builder{dir: dir, path: sync.OnceValues(func() (string, error) {
		path := filepath.Join(dir, "parley")
		args := []string{"build", "-tags", "failpoints", "-o", path}
		environ := append(os.Environ(), "CGO_ENABLED=0")
		if race {
			args = append(args, "-race")
			environ = append(os.Environ(), "CGO_ENABLED=1")
		}
		cmd := exec.Command("go", append(args, "parley/cmd/parley")...)
		cmd.Env = environ
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go build: %w\n%s", err, out)
		}
		return path, nil
	})}, nil
}

func (b *builder) remove() { _ = os.RemoveAll(b.dir) } // Left-overs in the temporary folder harm nobody.
