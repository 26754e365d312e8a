package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/lib/pq"
)

// explained is an error of opening the database, behind the sentence that says which
// database it is and what helps.
type explained struct {
	sentence string
	err      error
}

// Error implements error.
func (e *explained) Error() string { return e.sentence + " (" + e.err.Error() + ")" }

// Unwrap returns what the database, or the system, said.
func (e *explained) Unwrap() error { return e.err }

// Explain puts what an error of Migrate, Open, CheckCurrent or Backup means before it,
// where it is one that operators meet: a damaged or unreadable file, a full disk, a
// server without TLS, a wrong password. It names the file, or the host and the database,
// and never the password. Other errors stay as they are.
func Explain(cfg Config, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*explained](err); ok {
		return err
	}
	var sentence string
	if cfg.DatabaseURL == "" {
		sentence = explainSQLite(cfg.DataDir, err)
	} else {
		sentence = explainPostgres(cfg, err)
	}
	if sentence == "" {
		return err
	}
	return &explained{sentence, err}
}

// The primary result codes of SQLite that mean more than their words.
const (
	sqlitePerm     = 3
	sqliteReadOnly = 8
	sqliteIOErr    = 10
	sqliteCorrupt  = 11
	sqliteFull     = 13
	sqliteCantOpen = 14
	sqliteNotADB   = 26
)

func explainSQLite(dataDir string, err error) string {
	path := SQLitePath(dataDir)
	if info, statErr := os.Stat(dataDir); statErr == nil && !info.IsDir() {
		return dataDir + " is a file; the data folder must be a folder"
	}
	if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
		return path + " is a folder; the database is a file of that name"
	}
	code := sqliteCode(err)
	switch {
	case code == sqliteNotADB || code == sqliteCorrupt:
		return damagedSentence(path)
	case errors.Is(err, syscall.ENOTDIR):
		return dataDir + " cannot be made: a part of the path is a file"
	case code == sqliteFull || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return "the disk that holds " + path + " is full: make room, and start again; nothing that " +
			"was acknowledged is lost"
	case code == sqliteReadOnly || code == sqlitePerm || errors.Is(err, fs.ErrPermission) ||
		errors.Is(err, syscall.EROFS):
		return dataDir + " cannot be written: the folder and all files in it must belong to the user that parley runs as"
	case code == sqliteCantOpen:
		return path + " cannot be opened: the folder and all files in it must belong to the user that parley runs as"
	case code == sqliteIOErr:
		return path + " cannot be read or written: the disk is full or fails; see the log of the system"
	}
	return ""
}

// sqliteCode returns the primary result code of an error of SQLite, 0 for others.
func sqliteCode(err error) int {
	var result interface {
		error
		Code() int
	}
	if !errors.As(err, &result) {
		return 0
	}
	return result.Code() & 0xff
}

func damagedSentence(path string) string {
	return path + " is damaged, or no database: keep a copy of the folder, and start on the newest folder that " +
		"parley backup made"
}

// nameDamaged puts the name of a damaged file, and what to do, before the error of a
// statement: it may be found long after the start. A path of "" is that of no file.
func nameDamaged(path string, err error) error {
	if err == nil || path == "" {
		return err
	}
	if _, named := errors.AsType[*explained](err); named {
		return err
	}
	if code := sqliteCode(err); code != sqliteCorrupt && code != sqliteNotADB {
		return err
	}
	return &explained{damagedSentence(path), err}
}

func explainPostgres(cfg Config, err error) string {
	where := describePostgres(cfg)
	var refused *pq.Error
	code := ""
	if errors.As(err, &refused) {
		code = string(refused.Code)
	}
	switch {
	case errors.Is(err, pq.ErrSSLNotSupported):
		return where + " speaks no TLS, and without sslmode in the URL it is required: add ?sslmode=disable when the way " +
			"to it is safe (the same machine, or a private network), else switch TLS on there"
	case errors.Is(err, pq.ErrCouldNotDetectUsername):
		return "the URL names no user: write postgres://user:password@host/database"
	case code == "28P01":
		return where + " refuses the password: special characters of it are percent-encoded in a URL (@ is %40, / is %2F)"
	case code == "28000":
		return where + " lets this user, or this machine, not in: see pg_hba.conf there"
	case code == "3D000":
		return where + ": there is no such database; make it with createdb, Parley makes the tables"
	case code == "42501":
		return where + ": the user may not make tables; grant it CREATE on the schema, or make it the database's owner"
	case errors.Is(err, syscall.ECONNREFUSED):
		return where + " refuses connections: is the server running there, and is the port right?"
	case isCertificate(err):
		return where + " shows a certificate that is not trusted: name its authority with sslrootcert, or see sslmode"
	}
	return ""
}

func isCertificate(err error) bool {
	text := err.Error()
	return strings.Contains(text, "x509: ") || strings.Contains(text, "tls: ")
}

// Describe names the database of a configuration for people: the file, or the server,
// the database and the user. There is no password in it.
func Describe(cfg Config) string {
	if cfg.DatabaseURL == "" {
		return "SQLite, " + SQLitePath(cfg.DataDir)
	}
	return describePostgres(cfg)
}

func describePostgres(cfg Config) string {
	settings, err := postgresSettings(cfg.DatabaseURL, statementTimeout, lockTimeout)
	if err != nil {
		return "Postgres"
	}
	text := "Postgres at " + settings.Host
	if settings.Port != 0 {
		text += fmt.Sprintf(":%d", settings.Port)
	}
	if settings.Database != "" {
		text += fmt.Sprintf(", database %q", settings.Database)
	}
	if settings.User != "" {
		text += fmt.Sprintf(", user %q", settings.User)
	}
	return text
}
