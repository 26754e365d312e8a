package cluster

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
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

// NewBuilderOf prepares the build of another version of the repository at root: that of a
// commit, from git's history, as it is released.
func NewBuilderOf(root, commit string) (*Builder, error) {
	return newBuilder(func(path string) error {
		source := path + "-source"
		if err := checkOut(root, commit, source); err != nil {
			return err
		}
		return goBuild(source, path, "CGO_ENABLED=0")
	})
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

// checkOut writes the files of a commit into a new folder.
func checkOut(root, commit, dir string) error {
	cmd := exec.Command("git", "-C", root, "archive", "--format=tar", commit)
	var archive, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &archive, &complaint
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("git's history is not here as far back as commit %.7s: run git fetch --unshallow in a shallow clone, "+
			"or clone the repository with git (%w: %s)", commit, err, bytes.TrimSpace(complaint.Bytes()))
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	to, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	return errors.Join(unpack(&archive, to), to.Close())
}

// unpack writes the folders and files of an archive. Links are left out: no build needs one.
func unpack(archive io.Reader, to *os.Root) error {
	for in := tar.NewReader(archive); ; {
		entry, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case entry.Typeflag == tar.TypeDir:
			err = to.MkdirAll(filepath.Clean(entry.Name), 0o700)
		case entry.Typeflag == tar.TypeReg:
			var text []byte
			if text, err = io.ReadAll(in); err == nil {
				err = to.WriteFile(filepath.Clean(entry.Name), text, 0o600)
			}
		}
		if err != nil {
			return err
		}
	}
}
