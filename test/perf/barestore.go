package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"path/filepath"

	_ "modernc.org/sqlite" // The driver of SQLite.
)

// bareTurn is a question with its reply.
type bareTurn struct{ conversation, key, content, question, reply string }

// bareStore has the tables of the bare server.
type bareStore struct {
	postgres      bool
	read, write   *sql.DB
	jobs          chan bareJob // To the one writer of SQLite.
	lock, look    *sql.Stmt
	sends         []*sql.Stmt
	line, end1    *sql.Stmt
	used, created *sql.Stmt
}

// bareJob is what wants to be in the next commit.
type bareJob struct {
	run  func(tx *sql.Tx) error
	done chan error
}

const bareTables = `
CREATE TABLE conversations (id text PRIMARY KEY, head text NOT NULL, updated bigint NOT NULL);
CREATE TABLE messages (id text PRIMARY KEY, conversation text NOT NULL, n bigint NOT NULL, role text NOT NULL,
  content text NOT NULL, status text NOT NULL);
CREATE UNIQUE INDEX line ON messages (conversation, n);
CREATE TABLE sends (client_key text PRIMARY KEY, reply text NOT NULL);
CREATE TABLE used (day text PRIMARY KEY, tokens bigint NOT NULL)`

// What a send does: a look at all that decides, and three writes, which Postgres takes as one.
const (
	bareLock = `SELECT CASE WHEN pg_advisory_xact_lock(hashtextextended($1, 0)) IS NULL THEN 1 ELSE 2 END`
	bareLook = `SELECT c.head, h.n, k.reply, (SELECT count(*) FROM messages WHERE conversation = $1 AND n = -1)
  FROM conversations AS c LEFT JOIN messages AS h ON h.id = c.head LEFT JOIN sends AS k ON k.client_key = $2
  WHERE c.id = $1`
	barePair = `INSERT INTO messages (id, conversation, n, role, content, status) VALUES
  ($1, $2, $3, 'user', $4, 'COMPLETED'), ($5, $2, $3 + 1, 'assistant', '', 'STREAMING')`
	bareSend = `INSERT INTO sends (client_key, reply) VALUES ($6, $5)`
	bareHead = `UPDATE conversations SET head = $5, updated = updated + 1 WHERE id = $2`
	bareLine = `SELECT role, content FROM messages WHERE conversation = $1 AND content <> '' ORDER BY n`
	bareEnd  = `UPDATE messages SET content = $1, status = 'COMPLETED' WHERE id = $2 AND status = 'STREAMING'`
	bareUsed = `INSERT INTO used (day, tokens) VALUES ('today', $1)
  ON CONFLICT (day) DO UPDATE SET tokens = used.tokens + excluded.tokens`
)

// openBareStore makes the tables in a folder, or in a database of Postgres by that URL.
func openBareStore(ctx context.Context, kind, name string) (s bareStore, err error) {
	if s.postgres = kind == postgresName; s.postgres {
		if s.read, err = sql.Open("postgres", name); err != nil {
			return s, err
		}
		s.read.SetMaxOpenConns(20)
		s.read.SetMaxIdleConns(20)
		s.write = s.read
	} else {
		dsn := "file:" + filepath.Join(name, "bare.db") +
			"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_txlock=immediate"
		if s.read, err = sql.Open("sqlite", dsn); err != nil {
			return s, err
		}
		if s.write, err = sql.Open("sqlite", dsn); err != nil {
			return s, err
		}
		s.write.SetMaxOpenConns(1)
	}
	if _, err = s.write.ExecContext(ctx, bareTables); err != nil {
		return s, err
	}
	sends := []string{barePair, bareSend, bareHead}
	if s.postgres {
		sends = []string{"WITH pair AS (" + barePair + "), send AS (" + bareSend + ") " + bareHead}
	}
	s.sends = make([]*sql.Stmt, len(sends))
	statements := map[string]**sql.Stmt{bareLook: &s.look, bareEnd: &s.end1, bareUsed: &s.used,
		"INSERT INTO conversations (id, head, updated) VALUES ($1, '', 0)": &s.created}
	for i, text := range sends {
		statements[text] = &s.sends[i]
	}
	if s.postgres {
		statements[bareLock] = &s.lock
	}
	for text, into := range statements {
		if *into, err = s.write.PrepareContext(ctx, text); err != nil {
			return s, err
		}
	}
	if s.line, err = s.read.PrepareContext(ctx, bareLine); err != nil {
		return s, err
	}
	if !s.postgres {
		s.jobs = make(chan bareJob, 4096)
		go s.commit()
	}
	return s, nil
}

func (s *bareStore) close() { _ = errors.Join(s.read.Close(), s.write.Close()) } // Nobody reads what it has.

// commit is the one writer of SQLite: whoever waits shares a commit.
func (s *bareStore) commit() {
	for first := range s.jobs {
		tx, err := s.write.Begin()
		if err != nil {
			first.done <- err
			continue
		}
		group := []bareJob{first}
		err = first.run(tx)
		for more := true; more && err == nil && len(group) < 32; {
			select {
			case job := <-s.jobs:
				group = append(group, job)
				err = job.run(tx)
			default:
				more = false
			}
		}
		if err == nil {
			err = tx.Commit()
		} else {
			err = errors.Join(err, tx.Rollback())
		}
		for _, job := range group {
			job.done <- err
		}
	}
}

// inTx runs in a transaction.
func (s *bareStore) inTx(ctx context.Context, run func(tx *sql.Tx) error) error {
	if !s.postgres {
		job := bareJob{run: run, done: make(chan error, 1)}
		s.jobs <- job
		return <-job.done
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := run(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func (s *bareStore) create(ctx context.Context, id string) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.Stmt(s.created).ExecContext(ctx, id)
		return err
	})
}

func (s *bareStore) send(ctx context.Context, t bareTurn) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if s.postgres {
			var two int
			if err := tx.Stmt(s.lock).QueryRowContext(ctx, t.conversation).Scan(&two); err != nil {
				return err
			}
		}
		var head string
		var n sql.NullInt64
		var known sql.NullString
		var running int
		row := tx.Stmt(s.look).QueryRowContext(ctx, t.conversation, t.key)
		if err := row.Scan(&head, &n, &known, &running); err != nil {
			return err
		}
		if known.Valid {
			return errors.New("a repeat, which the bare server does not know")
		}
		args := []any{t.question, t.conversation, n.Int64 + 1, t.content, t.reply, t.key}
		if s.postgres {
			_, err := tx.Stmt(s.sends[0]).ExecContext(ctx, args...)
			return err
		}
		for i, count := range []int{5, 6, 5} {
			if _, err := tx.Stmt(s.sends[i]).ExecContext(ctx, args[:count]...); err != nil {
				return err
			}
		}
		return nil
	})
}

// prompt appends the messages of the line.
func (s *bareStore) prompt(ctx context.Context, conversation string, body []byte) (_ []byte, err error) {
	rows, err := s.line.QueryContext(ctx, conversation)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for first := true; rows.Next(); first = false {
		var role, content string
		if err := rows.Scan(&role, &content); err != nil {
			return nil, err
		}
		text, err := json.Marshal(content)
		if err != nil {
			return nil, err
		}
		if !first {
			body = append(body, ',')
		}
		body = append(append(append(body, `{"role":"`+role+`","content":`...), text...), '}')
	}
	return body, rows.Err()
}

func (s *bareStore) end(ctx context.Context, reply string, text []byte) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Stmt(s.end1).ExecContext(ctx, string(text), reply); err != nil {
			return err
		}
		_, err := tx.Stmt(s.used).ExecContext(ctx, len(text))
		return err
	})
}
