package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect"

	"parley/ent"
	"parley/ent/conversation"
	"parley/internal/pid"
)

// touchedColumns are those of a conversation that its reader does not know already, in the
// order of touchedRow.targets.
const touchedColumns = `name, name_source, model, parameters, context_settings, title_tries, revision, head_id, pinned,
  archived_at, temporary, expires_at, last_message_at, created_at, updated_at`

// touchStatement moves the version of a conversation. It grows whatever the clock does, and
// by no less than clients are told.
func touchStatement(name string) string {
	later := "max(updated_at + 1000, $3)" // In microseconds, as SQLite stores it.
	if name == dialect.Postgres {
		later = "greatest(updated_at + interval '1 millisecond', $3::timestamptz)"
	}
	return "UPDATE conversations SET updated_at = " + later + "\nWHERE id = $1 AND user_id = $2 RETURNING " +
		touchedColumns
}

// touchedRow is a row of touchedColumns, which may be joined to nothing.
type touchedRow struct {
	name, source, model, parameters, context, head sql.NullString
	titleTries, revision                           sql.NullInt64
	pinned, temporary                              sql.NullBool
	archived, expires, lastMessage, created, moved instant
}

func (r *touchedRow) targets() []any {
	return []any{&r.name, &r.source, &r.model, &r.parameters, &r.context, &r.titleTries, &r.revision, &r.head,
		&r.pinned, &r.archived, &r.temporary, &r.expires, &r.lastMessage, &r.created, &r.moved}
}

// conversation is the row as Ent would read it, nil when there was none.
func (r *touchedRow) conversation(userID, id pid.ID) *ent.Conversation {
	if !r.head.Valid {
		return nil
	}
	c := &ent.Conversation{ID: id, UserID: userID, Name: r.name.String,
		NameSource: conversation.NameSource(r.source.String), Parameters: r.parameters.String,
		ContextSettings: r.context.String, TitleTries: int(r.titleTries.Int64), Revision: int(r.revision.Int64),
		HeadID: pid.ID(r.head.String), Pinned: r.pinned.Bool, ArchivedAt: timeOrNil(r.archived.NullTime),
		Temporary: r.temporary.Bool, ExpiresAt: timeOrNil(r.expires.NullTime), LastMessageAt: r.lastMessage.Time.UTC(),
		CreatedAt: r.created.Time.UTC(), UpdatedAt: r.moved.Time.UTC()}
	if r.model.Valid {
		c.Model = &r.model.String
	}
	return c
}

// instant reads a time also where SQLite does not say that the integer is one, as behind
// RETURNING.
type instant struct{ sql.NullTime }

// Scan implements sql.Scanner.
func (i *instant) Scan(value any) error {
	if micros, ok := value.(int64); ok {
		i.NullTime = sql.NullTime{Time: time.UnixMicro(micros), Valid: true}
		return nil
	}
	return i.NullTime.Scan(value)
}

// Touch notes, under the conversation's lock, that something has changed in a conversation
// beside its row, and returns the row as it becomes; nil when it is gone. Feeds tell rows
// apart by their version, and find by it what they were not told.
func (s *Store) Touch(
	ctx context.Context, tx *ent.Tx, userID, id pid.ID, now time.Time,
) (_ *ent.Conversation, err error) {
	rows, err := tx.QueryContext(ctx, s.statements.touch, string(id), string(userID), now)
	if err != nil {
		return nil, fmt.Errorf("touch conversation: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var r touchedRow
	if rows.Next() {
		if err := rows.Scan(r.targets()...); err != nil {
			return nil, fmt.Errorf("touch conversation: %w", err)
		}
	}
	return r.conversation(userID, id), rows.Err()
}
