package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"parley/ent"
	"parley/ent/conversation"
	"parley/internal/chat"
	"parley/internal/pid"
)

// pathQuery climbs from a message to the first one above it that is on the visible line. It
// reads a row a place by its id, and no text.
const pathQuery = `
WITH RECURSIVE up AS (
  SELECT id, parent_id, "index", active FROM messages WHERE id = $1 AND conversation_id = $2 AND user_id = $3
  UNION ALL
  SELECT m.id, m.parent_id, m."index", m.active FROM up JOIN messages AS m ON m.id = up.parent_id
  WHERE NOT up.active AND m.user_id = $4
)
SELECT id, "index", active FROM up ORDER BY "index"`

// ancestryQuery climbs from a message to message 0.
const ancestryQuery = `
WITH RECURSIVE up AS (
  SELECT id, parent_id, "index", active FROM messages WHERE id = $1 AND conversation_id = $2 AND user_id = $3
  UNION ALL
  SELECT m.id, m.parent_id, m."index", m.active FROM up JOIN messages AS m ON m.id = up.parent_id
  WHERE m.user_id = $4
)
SELECT id, "index", active FROM up ORDER BY "index"`

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

// storeAgain writes a reply to a question that is there already.
func storeAgain(ctx context.Context, tx *ent.Tx, w chat.SendRows) error {
	c, r := w.Conversation, w.Reply
	n, err := tx.Conversation.Update().
		Where(conversation.ID(c.ID), conversation.UserID(c.UserID)).
		SetHeadID(c.HeadID).
		SetName(c.Name).
		SetLastMessageAt(c.LastMessageAt).
		SetUpdatedAt(c.UpdatedAt).
		ClearArchivedAt().
		Save(ctx)
	if err != nil || n != 1 {
		return errors.Join(errors.New("store reply: its conversation is gone"), err)
	}
	err = tx.Message.Create().
		SetID(r.ID).
		SetConversationID(r.ConversationID).
		SetUserID(r.UserID).
		SetNillableParentID(r.ParentID).
		SetIndex(r.Index).
		SetRole(r.Role).
		SetContent(r.Content).
		SetReasoning(r.Reasoning).
		SetStatus(r.Status).
		SetNillableModel(r.Model).
		SetParameters(r.Parameters).
		SetNillableOwner(r.Owner).
		SetAttempt(r.Attempt).
		SetNillableStartedAt(r.StartedAt).
		SetNillableReservedTokens(r.ReservedTokens).
		SetNillablePromptBytes(r.PromptBytes).
		SetNillableContinuesID(r.ContinuesID).
		SetContinuedBytes(r.ContinuedBytes).
		SetCreatedAt(r.CreatedAt).
		Exec(ctx)
	if err != nil {
		return fmt.Errorf("store reply: %w", err)
	}
	return tx.Send.Create().
		SetID(pid.New(pid.Send)).
		SetUserID(c.UserID).
		SetNillableClientKey(w.ClientKey).
		SetPayloadHash(w.PayloadHash).
		SetConversationID(c.ID).
		SetUserMessageID(w.Question.ID).
		SetReplyID(r.ID).
		SetCreatedAt(r.CreatedAt).
		Exec(ctx)
}
