package reply

import (
	"entgo.io/ent/dialect/sql"

	"parley/ent/predicate"
)

// The predicates below are written out, without parameters: SQLite uses a partial
// index only when the query says its condition in the same words.

// Streaming matches replies that are being written.
func Streaming() predicate.Message { return literal("status = 'STREAMING'") }

// Queued matches replies that wait for the one before them.
func Queued() predicate.Message {
	return literal("(status = 'QUEUED' OR status = 'STREAMING') AND status = 'QUEUED'")
}

// Unfinished matches replies that are being written or wait for it.
func Unfinished() predicate.Message { return literal("status = 'QUEUED' OR status = 'STREAMING'") }

func literal(condition string) predicate.Message {
	return func(s *sql.Selector) {
		s.Where(sql.P(func(b *sql.Builder) { b.WriteString("(" + condition + ")") }))
	}
}
