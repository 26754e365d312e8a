package store

import (
	"context"
	"database/sql"
	"runtime"
)

// What the tests in package store_test need of the inside.
var (
	MigrateFrom       = migrateFrom
	OpenForMigration  = openForMigration
	CheckPragmas      = checkPragmas
	PostgresDSN       = postgresDSN
	SQLiteDSN         = sqliteDSN
	EmbeddedMigration = migrations
	SilenceOf         = silenceOf
	LivesWith         = livesWith
)

// Hand-written statements, as the dialect gets them.
func (s *Store) LineStatement() string { return s.statements.line }
func (s *Store) LineEndStatements() map[string]string {
	return map[string]string{"first": s.statements.lineEnds, "few": s.statements.lineEnd,
		"many": s.statements.lineEndMany}
}
func (s *Store) CheckpointStatement() string { return s.statements.checkpoint }
func (s *Store) SummaryStatement() string    { return s.statements.summary }
func (s *Store) OwnQuery() string            { return s.statements.owned }

// Pools returns the pool that writes and the one that reads.
func (s *Store) Pools() (write, read *sql.DB) { return s.write, s.read }

// AwaitWaiting waits until so many wait for a turn to write.
func (s *Store) AwaitWaiting(ctx context.Context, n int) {
	for ctx.Err() == nil {
		s.turns.mu.Lock()
		waiting := 0
		for _, class := range s.turns.waiting {
			waiting += len(class)
		}
		s.turns.mu.Unlock()
		if waiting == n {
			return
		}
		runtime.Gosched()
	}
}

// StoredBytesStatement is what StoredBytes asks.
const StoredBytesStatement = storedBytes
