package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	held, err := lockFile(f)
	switch {
	case err != nil:
		err = fmt.Errorf("lock data folder: %w", err)
	case !held:
		err = ErrInUse
	default:
		return f, nil
	}
	_ = f.Close() // Nothing was written.
	return nil, err
}
