package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// Builder builds the server once, when it is first asked for. The caller removes it.
type Builder struct {
	dir   string
	build func() (path string, err error)
}

// NewBuilder prepares the build of this source, with failpoints. With race the server
// runs under the race detector, and ends with status 66 on its first race.
func NewBuilder(race bool) (*Builder, error) {
	cgo, flags := "CGO_ENABLED=0", []string{"-tags", "failpoints"}
	if race {
		cgo, flags = "CGO_ENABLED=1", append(flags, "-race")
	}
	return newBuilder(func(path string) error { return goBuild("", path, cgo, flags...) })
}

func newBuilder(build func(path string) error) (*Builder, error) {
	dir, err := os.MkdirTemp("", "parley-fault-binary-")
	if err != nil {
		return nil, err
	}
	return &Builder{dir: dir, build: sync.OnceValues(func() (string, error) {
		path := filepath.Join(dir, "parley")
		return path, build(path)
	})}, nil
}

// Path is where the binary is. The first call pays for the build, others wait for it.
func (b *Builder) Path() (string, error) { return b.build() }

// Remove deletes the binary.
func (b *Builder) Remove() { _ = os.RemoveAll(b.dir) } // Left-overs in the temporary folder harm nobody.

// goBuild builds the server from the module that holds the folder; empty: the current one.
func goBuild(dir, path, cgo string, flags ...string) error {
	// Paths are trimmed so that the compiler's cache knows a package wherever it lies.
	args := append([]string{"build", "-trimpath", "-o", path}, flags...)
	cmd := exec.Command("go", append(args, "parley/cmd/parley")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}
