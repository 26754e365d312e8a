package cluster

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"parley/test/faults/history"

	"parley/internal/store"
)

// Database is the harness's own way to the database of a cluster, past all
// proxies. It logs every change of a reply, and of a lease, by triggers, which no bug of the server
// can get around.
type Database struct {
	url   string // Empty for SQLite.
	admin string
	name  string
	db    *sql.DB
	dir   string
}

// newPostgres makes an empty database on the server that admin names. The caller
// drops it.
func newPostgres(ctx context.Context, admin string) (*Database, error) {
	u, err := url.Parse(admin)
	if err != nil || admin == "" {
		return nil, errors.New("PARLEY_TEST_POSTGRES_URL does not name a Postgres server: run make test, or go run ./internal/tools/withpostgres COMMAND")
	}
	random := make([]byte, 8)
	_, _ = rand.Read(random) // Never fails.
	d := &Database{admin: admin, name: "fault_" + hex.EncodeToString(random)}
	if err := d.adminExec(ctx, "CREATE DATABASE "+d.name); err != nil {
		return nil, err
	}
	u.Path = "/" + d.name
	d.url = u.String()
	d.db, err = sql.Open("postgres", d.url)
	return d, err
}

// newSQLite names the database in a data folder.
func newSQLite(dir string) (*Database, error) {
	db, err := sql.Open("sqlite", "file:"+store.SQLitePath(dir)+"?_pragma=busy_timeout(10000)")
	return &Database{db: db, dir: dir}, err
}

func (d *Database) adminExec(ctx context.Context, statement string) error {
	db, err := sql.Open("postgres", d.admin)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // One statement, whose error is what counts.
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// OnPostgres tells Postgres from SQLite.
func (d *Database) OnPostgres() bool { return d.url != "" }

// drop closes the connection and removes a Postgres database.
func (d *Database) drop(ctx context.Context) error {
	err := d.db.Close()
	if d.url == "" {
		return err
	}
	return errors.Join(err, d.adminExec(ctx, "DROP DATABASE "+d.name+" WITH (FORCE)"))
}

// Terminate ends every connection to the database but the harness's own, as a
// restart of Postgres does.
func (d *Database) Terminate(ctx context.Context) error {
	_, err := d.db.ExecContext(ctx,
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	return err
}

const postgresLog = `
CREATE TABLE fault_log (
	seq bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), kind text, message_id text,
		user_id text,
	attempt bigint, owner text, status text, length bigint, stop boolean, active boolean);
CREATE FUNCTION fault_log() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE m messages;
BEGIN
	IF TG_OP = 'DELETE' THEN m := OLD; ELSE m := NEW; END IF;
	IF TG_OP = 'UPDATE' AND OLD.status NOT IN ('QUEUED', 'STREAMING') AND
		(OLD.attempt, OLD.owner, OLD.status, OLD.content, OLD.reasoning, OLD.stop_requested_at, OLD.finished_at)
		IS NOT DISTINCT FROM
		(NEW.attempt, NEW.owner, NEW.status, NEW.content, NEW.reasoning, NEW.stop_requested_at, NEW.finished_at)
	THEN RETURN NULL; END IF; -- Another line is shown.
	IF m.role = 'ASSISTANT' THEN
		INSERT INTO fault_log (kind, message_id, user_id, attempt, owner, status, length, stop, active)
		VALUES (TG_OP, m.id, m.user_id, m.attempt, coalesce(m.owner, ''), m.status, length(m.content),
			m.stop_requested_at IS NOT NULL, m.active);
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER fault_log AFTER INSERT OR UPDATE OR DELETE ON messages FOR EACH ROW EXECUTE FUNCTION fault_log();
CREATE TABLE fault_leases (
	seq bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), kind text, replica text, address text);
CREATE FUNCTION fault_leases() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE r replicas;
BEGIN
	IF TG_OP = 'DELETE' THEN r := OLD; ELSE r := NEW; END IF;
	INSERT INTO fault_leases (kind, replica, address) VALUES (TG_OP, r.id, r.address);
	RETURN NULL;
END $$;
CREATE TRIGGER fault_leases AFTER INSERT OR UPDATE OR DELETE ON replicas FOR EACH ROW EXECUTE FUNCTION fault_leases();`

const sqliteTable = `CREATE TABLE fault_log (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), kind TEXT,
		message_id TEXT, user_id TEXT,
	attempt INTEGER, owner TEXT, status TEXT, length INTEGER, stop BOOLEAN, active BOOLEAN)`

const sqliteTrigger = `CREATE TRIGGER fault_log_KIND AFTER KIND ON messages WHEN ROW.role = 'ASSISTANT'CHANGED BEGIN
	INSERT INTO fault_log (kind, message_id, user_id, attempt, owner, status, length, stop, active)
	VALUES ('KIND', ROW.id, ROW.user_id, ROW.attempt, coalesce(ROW.owner, ''), ROW.status, length(ROW.content),
		ROW.stop_requested_at IS NOT NULL, ROW.active);
END`

// sqliteChanged leaves out that another line is shown.
const sqliteChanged = ` AND (OLD.status IN ('QUEUED', 'STREAMING') OR
	(OLD.attempt, OLD.owner, OLD.status, OLD.content, OLD.reasoning, OLD.stop_requested_at, OLD.finished_at) IS NOT
	(NEW.attempt, NEW.owner, NEW.status, NEW.content, NEW.reasoning, NEW.stop_requested_at, NEW.finished_at))`

const sqliteLeases = `CREATE TABLE fault_leases (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')), kind TEXT,
		replica TEXT, address TEXT)`

const sqliteLeaseTrigger = `CREATE TRIGGER fault_leases_KIND AFTER KIND ON replicas BEGIN
	INSERT INTO fault_leases (kind, replica, address) VALUES ('KIND', ROW.id, ROW.address);
END`

// watch installs the triggers; the database is migrated.
func (d *Database) watch(ctx context.Context) error {
	statements := []string{postgresLog}
	if d.url == "" {
		statements = []string{sqliteTable, sqliteLeases}
		for kind, row := range map[string]string{"INSERT": "NEW", "UPDATE": "NEW", "DELETE": "OLD"} {
			changed := ""
			if kind == "UPDATE" {
				changed = sqliteChanged
			}
			names := strings.NewReplacer("KIND", kind, "ROW", row, "CHANGED", changed)
			statements = append(statements, names.Replace(sqliteTrigger), names.Replace(sqliteLeaseTrigger))
		}
	}
	for _, s := range statements {
		if _, err := d.db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("install the log of changes: %w", err)
		}
	}
	return nil
}

// Unfinished counts the replies that are not final.
func (d *Database) Unfinished(ctx context.Context) (int, error) {
	var n int
	err := d.db.QueryRowContext(ctx, "SELECT count(*) FROM messages WHERE status IN ('QUEUED', 'STREAMING')").Scan(&n)
	return n, err
}

// Read writes all that is in the database into the history.
func (d *Database) Read(ctx context.Context, h *history.History) error {
	return errors.Join(d.readWrites(ctx, h), d.readLeases(ctx, h), d.readRows(ctx, h), d.readSends(ctx, h))
}

func (d *Database) each(ctx context.Context, query string, scan func(*sql.Rows) error) (err error) {
	rows, err := d.db.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	defer func() { err = errors.Join(err, rows.Close(), rows.Err()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
	}
	return nil
}

func (d *Database) readWrites(ctx context.Context, h *history.History) error {
	return d.each(ctx, "SELECT seq, at, kind, message_id, user_id, attempt, owner, status, length, stop, active FROM fault_log ORDER BY seq", func(rows *sql.Rows) error {
		var w history.Write
		var at any
		err := rows.Scan(&w.Seq, &at, &w.Kind, &w.Message, &w.User, &w.Attempt, &w.Owner, &w.Status, &w.Length, &w.Stop,
			&w.Active)
		if err != nil {
			return err
		}
		when, err := instant(at)
		h.AddAt(history.Record{Op: history.OpWrite, At: when.Sub(h.Began), Write: &w})
		return err
	})
}

func (d *Database) readLeases(ctx context.Context, h *history.History) error {
	return d.each(ctx, "SELECT at, kind, replica, address FROM fault_leases ORDER BY seq", func(rows *sql.Rows) error {
		var l history.Lease
		var at any
		if err := rows.Scan(&at, &l.Kind, &l.Replica, &l.Address); err != nil {
			return err
		}
		when, err := instant(at)
		h.AddAt(history.Record{Op: history.OpLease, At: when.Sub(h.Began), Lease: &l})
		return err
	})
}

// instant reads a time as either driver gives it.
func instant(v any) (time.Time, error) {
	switch v := v.(type) {
	case time.Time:
		return v, nil
	case string:
		return time.Parse(time.RFC3339Nano, v)
	}
	return time.Time{}, fmt.Errorf("not a time: %v", v)
}

func (d *Database) readRows(ctx context.Context, h *history.History) error {
	query := `SELECT id, conversation_id, user_id, coalesce(parent_id, ''), "index", active, role, content, status, coalesce(error_code, ''), attempt, coalesce(owner, ''), continued_bytes, coalesce(continues_id, '')
		FROM messages ORDER BY conversation_id, "index", id`
	return d.each(ctx, query, func(rows *sql.Rows) error {
		var m history.Row
		err := rows.Scan(&m.ID, &m.Conversation, &m.User, &m.Parent, &m.Index, &m.Active, &m.Role, &m.Content,
			&m.Status, &m.Error, &m.Attempt, &m.Owner, &m.Continued, &m.Continues)
		h.Add(history.Record{Op: history.OpRow, Row: &m})
		return err
	})
}

func (d *Database) readSends(ctx context.Context, h *history.History) error {
	return d.each(ctx, "SELECT coalesce(client_key, ''), conversation_id, user_message_id, reply_id FROM sends ORDER BY id", func(rows *sql.Rows) error {
		r := history.Record{Op: history.OpSendRow}
		err := rows.Scan(&r.Key, &r.Conversation, &r.Message, &r.Reply)
		h.Add(r)
		return err
	})
}
