package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"parley/ent"
	"parley/internal/chat"
	"parley/internal/pid"
)

// climb reads the places from a message upwards, each by its id, and no text. pathQuery goes
// on to the first one that is on the visible line, ancestryQuery to message 0.
const (
	climb = `
WITH RECURSIVE up AS (
  SELECT id, parent_id, "index", active FROM messages WHERE id = $1 AND conversation_id = $2 AND user_id = $3
  UNION ALL
  SELECT m.id, m.parent_id, m."index", m.active FROM up JOIN messages AS m ON m.id = up.parent_id
  WHERE `
	climbed = `m.user_id = $4
)
SELECT id, "index", active FROM up ORDER BY "index"`

	pathQuery     = climb + `NOT up.active AND ` + climbed
	ancestryQuery = climb + climbed
)

// Path implements chat.Branches.
func (s *Store) Path(ctx context.Context, tx *ent.Tx, userID, conversationID, id pid.ID) ([]chat.Step, error) {
	return s.climb(ctx, tx, pathQuery, userID, conversationID, id)
}

// Ancestry implements chat.Branches.
func (s *Store) Ancestry(ctx context.Context, tx *ent.Tx, userID, conversationID, id pid.ID) ([]chat.Step, error) {
	return s.climb(ctx, tx, ancestryQuery, userID, conversationID, id)
}

func (s *Store) climb(
	ctx context.Context, tx *ent.Tx, query string, userID, conversationID, id pid.ID,
) (steps []chat.Step, err error) {
	if err := ownedBy(ctx, userID); err != nil {
		return nil, err
	}
	rows, err := tx.QueryContext(ctx, bind(s.dialect, query), string(id), string(conversationID), string(userID),
		string(userID))
	if err != nil {
		return nil, fmt.Errorf("climb a branch: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var step chat.Step
		if err := rows.Scan(&step.ID, &step.Index, &step.Active); err != nil {
			return nil, fmt.Errorf("climb a branch: %w", err)
		}
		steps = append(steps, step)
	}
	return steps, rows.Err()
}

// measuredRows is how much of a line is added up, as before a send.
const measuredRows = 512

// lineBytes adds up what a model would be sent of the visible line before an index, of a long
// one only the part that is nearest.
const lineBytes = `
SELECT CAST(sum(octet_length(b.content)) AS bigint) FROM messages AS b
WHERE b.conversation_id = $1 AND b.user_id = $2 AND b.active AND b."index" < $3 AND b."index" > $4
  AND ` + sentBytes

// LineBytes implements chat.Branches.
func (s *Store) LineBytes(
	ctx context.Context, tx *ent.Tx, userID, conversationID pid.ID, before int,
) (_ int, err error) {
	if err := ownedBy(ctx, userID); err != nil {
		return 0, err
	}
	rows, err := tx.QueryContext(ctx, bind(s.dialect, lineBytes), string(conversationID), string(userID), before,
		before-measuredRows)
	if err != nil {
		return 0, fmt.Errorf("measure a line: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var n sql.NullInt64
	if rows.Next() {
		err = rows.Scan(&n)
	}
	return int(n.Int64), errors.Join(err, rows.Err())
}
