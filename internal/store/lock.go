package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrInUse is returned by LockDataDir when another process holds the folder.
var ErrInUse = errors.New("the data folder is in use by another parley process")

// LockDataDir takes the operating system's lock on a data folder, which ends with
// the process however it ends: whoever holds it is the only server on its SQLite
// database. The commands for the operator do without it. The caller closes the
// returned file to let go. Error: ErrInUse.
func LockDataDir(dataDir string) (*os.File, error) {
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dataDir, "parley.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // Nothing was written.
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrInUse
		}
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	return f, nil
}
