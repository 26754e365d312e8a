package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"parley/internal/pid"
	"parley/internal/reply"
)

// newestSummary begins with the summaries of the conversation, which are few: CROSS JOIN is
// an order to SQLite, and the sum keeps Postgres from walking the line backwards.
const newestSummary = `
SELECT s.id, s.message_id, m."index", s.content FROM summaries AS s CROSS JOIN messages AS m
WHERE s.conversation_id = $1 AND s.user_id = $2 AND m.id = s.message_id AND m.user_id = s.user_id
  AND m.active AND m."index" < $3
ORDER BY m."index" + 0 DESC LIMIT 1`

// NewestSummary implements reply.Store.
func (s *Store) NewestSummary(
	ctx context.Context, userID, conversationID pid.ID, before int,
) (*reply.Summary, error) {
	var found reply.Summary
	err := s.read.QueryRowContext(ctx, s.statements.summary, string(conversationID), string(userID), before).
		Scan(&found.ID, &found.MessageID, &found.Reaches, &found.Content)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look for a summary: %w", err)
	}
	return &found, nil
}
