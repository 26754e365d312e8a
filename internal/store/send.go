package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"entgo.io/ent/dialect"

	"parley/ent"
	"parley/ent/conversation"
	"parley/ent/message"
	"parley/ent/privacy"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/prompt"
	"parley/internal/viewer"
)

// The statements of a send are written by hand, since Ent would make a dozen of them. Each
// names the owner; behind that, ownedBy is what policies are to Ent's own statements.

// sendLocks takes two locks in their order and then reads the clock, in one round trip: the
// branches of a CASE are the one thing that Postgres evaluates in a known order. It cannot
// be part of the statement that reads, which would see the rows from before the wait.
const sendLocks = `
SELECT CASE WHEN pg_advisory_xact_lock(hashtextextended($1, 0)) IS NULL THEN NULL
  ELSE CASE WHEN pg_advisory_xact_lock(hashtextextended($2, 0)) IS NULL THEN NULL
    ELSE clock_timestamp() END END`

// sendLock is the same for a conversation that is only being made.
const sendLock = `
SELECT CASE WHEN pg_advisory_xact_lock(hashtextextended($1, 0)) IS NULL THEN NULL ELSE clock_timestamp() END`

// beforeSend gives a row for each unfinished reply, and one where there is none. Its
// conditions on status are those of package reply's predicates, for the sake of the indexes.
// So is that on the index of unfinished ones: SQLite, which never analyses its tables, would
// read the whole conversation without it. How long the line is by now follows from its last
// reply, without reading any other row; only where that reply does not say, the newest rows are
// summed up. A window has no more of them, and what is sent whole is measured when it is read.
// Conversations that were made since a time have changed since, which is what there is an
// index for.
const beforeSend = `
SELECT c.name, c.name_source, c.model, c.parameters, c.context_settings, c.title_tries, c.revision, c.head_id, c.pinned,
  c.archived_at, c.temporary, c.expires_at, c.last_message_at, c.created_at, c.updated_at, h."index",
  COALESCE(h.prompt_bytes + octet_length(h.content) - h.continued_bytes,
    (SELECT CAST(sum(octet_length(b.content)) AS bigint) FROM messages AS b
      WHERE b.conversation_id = c.id AND b.user_id = $1 AND b.active AND b."index" > h."index" - 512
        AND ` + sentBytes + `)),
  (SELECT octet_length(z.content) FROM messages AS z
    WHERE z.conversation_id = c.id AND z.user_id = $1 AND z.active AND z."index" = 0),
  COALESCE(h.prompt_tokens + h.completion_tokens,
    CASE WHEN h.status = 'QUEUED' OR h.status = 'STREAMING' THEN h.reserved_tokens END),
  k.payload_hash, k.conversation_id, k.user_message_id, k.reply_id,
  (SELECT count(*) FROM messages AS r
    WHERE r.user_id = $1 AND (r.status = 'QUEUED' OR r.status = 'STREAMING') AND r.status = 'STREAMING'),
  (SELECT s.created_at FROM sends AS s WHERE s.user_id = $1 AND s.created_at > $4
    ORDER BY s.created_at DESC LIMIT 1 OFFSET $5),
  (SELECT CAST(sum(d.prompt_tokens + d.completion_tokens) AS bigint) FROM usage_days AS d
    WHERE d.user_id = $1 AND d.day = $6),
  (SELECT CAST(sum(w.reserved_tokens) AS bigint) FROM messages AS w
    WHERE w.user_id = $1 AND (w.status = 'QUEUED' OR w.status = 'STREAMING')),
  (SELECT count(*) FROM conversations AS n
    WHERE n.user_id = $1 AND n.updated_at >= $7 AND n.created_at >= $7),
  u.id, u.parent_id, u.status, u.started_at, u."index", u.reserved_tokens
FROM (SELECT 1 AS one) AS o
LEFT JOIN conversations AS c ON c.id = $2 AND c.user_id = $1
LEFT JOIN messages AS h ON h.id = c.head_id AND h.conversation_id = c.id AND h.user_id = $1
LEFT JOIN sends AS k ON k.user_id = $1 AND k.client_key = $3
LEFT JOIN messages AS u ON u.conversation_id = c.id AND u."index" > 0 AND u.user_id = $1
  AND (u.status = 'QUEUED' OR u.status = 'STREAMING')`

// sentBytes matches the messages of a line, b, whose texts are sent to a model: package
// prompt leaves out no others that are long.
const sentBytes = `(b.role <> 'USER' OR b.status = 'COMPLETED')`

// What a send writes. All parts share one list of parameters, so that Postgres can take
// them as one statement.
const (
	moveConversation = `UPDATE conversations
  SET head_id = $5, name = $6, archived_at = NULL, last_message_at = $3, updated_at = $4
  WHERE id = $2 AND user_id = $1`
	makeConversation = `INSERT INTO conversations
  (id, user_id, name, name_source, model, parameters, head_id, last_message_at, created_at, updated_at)
  VALUES ($2, $1, $6, $23, $24, $25, $5, $3, $3, $4)`
	insertMessages = `INSERT INTO messages
  (id, conversation_id, user_id, parent_id, "index", role, content, status, model, parameters, owner, attempt,
   started_at, reserved_tokens, prompt_bytes, client_key, created_at) VALUES `
	valuesOfRoot = `
  ($8, $2, $1, NULL, 0, 'SYSTEM', $26, 'COMPLETED', NULL, '', NULL, 0, NULL, NULL, NULL, NULL, $3),`
	valuesOfPair = `
  ($7, $2, $1, $8, $9, 'USER', $10, 'COMPLETED', NULL, '', NULL, 0, NULL, NULL, NULL, $19, $3),
  ($5, $2, $1, $7, $11, 'ASSISTANT', '', $12, $13, $14, $15, $16, $17, $21, $22, NULL, $3)`
	insertSend = `INSERT INTO sends
  (id, user_id, client_key, payload_hash, conversation_id, user_message_id, reply_id, created_at)
  VALUES ($18, $1, $19, $20, $2, $7, $5, $3)`
)

// storing returns the statements that write a send, the one of the conversation first.
// Postgres gets one. SQLite has no statement that writes to several tables, so three are the
// least there.
func storing(name, conversation, values string) []string {
	if name != dialect.Postgres {
		return []string{conversation, insertMessages + values, insertSend}
	}
	return []string{fmt.Sprintf("WITH stored AS (%s), recorded AS (%s) %s",
		insertMessages+values, insertSend, conversation)}
}

// AtOnce implements chat.Sends. On Postgres a user's sends wait for the user's lock, each
// with a connection: one works, and one is there when it has ended. On SQLite they share
// commits, of which others are to have their part.
func (s *Store) AtOnce() int {
	if s.dialect == dialect.Postgres {
		return 2
	}
	return maxGroup / 4
}

// LockSend implements chat.Sends.
func (s *Store) LockSend(ctx context.Context, tx *ent.Tx, userID, conversationID pid.ID) (time.Time, error) {
	if s.dialect != dialect.Postgres {
		return s.NowTx(ctx, tx)
	}
	query, args := sendLock, []any{string(userID)}
	if conversationID != "" {
		query, args = sendLocks, append(args, string(conversationID))
	}
	now, err := readTime(ctx, tx, query, args...)
	if err != nil {
		return time.Time{}, fmt.Errorf("lock for a send: %w", err)
	}
	return now, nil
}

// BeforeSend implements chat.Sends.
func (s *Store) BeforeSend(ctx context.Context, tx *ent.Tx, q chat.SendQuery) (_ chat.SendState, err error) {
	var none chat.SendState
	if err := ownedBy(ctx, q.UserID); err != nil {
		return none, err
	}
	rows, err := tx.QueryContext(ctx, beforeSend, string(q.UserID), string(q.ConversationID), orNull(q.ClientKey),
		q.Since, max(q.Limit-1, 0), q.Day, timeOrNull(q.Made))
	if err != nil {
		return none, fmt.Errorf("read before a send: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var state chat.SendState
	for first := true; rows.Next(); first = false {
		var r beforeRow
		if err := rows.Scan(r.targets()...); err != nil {
			return none, fmt.Errorf("read before a send: %w", err)
		}
		if first {
			state = r.state(q)
		}
		if r.id.Valid {
			state.Unfinished = append(state.Unfinished, r.unfinished(q))
		}
	}
	if err := rows.Err(); err != nil {
		return none, fmt.Errorf("read before a send: %w", err)
	}
	// Here and not there, where it would be a sorting for each send.
	slices.SortFunc(state.Unfinished, func(a, b *ent.Message) int { return a.Index - b.Index })
	return state, nil
}

// beforeRow is a row of beforeSend.
type beforeRow struct {
	name, source, model, parameters, context, head sql.NullString
	titleTries, revision                           sql.NullInt64
	pinned, temporary                              sql.NullBool
	archived, expires                              sql.NullTime
	lastMessage, created, updated                  sql.NullTime
	headIndex, lineBytes, rootBytes, lineTokens    sql.NullInt64
	hash, conversation, question, reply            sql.NullString // of the known send
	running                                        int
	nth                                            sql.NullTime
	tokens, reserved                               sql.NullInt64
	conversations                                  int
	id, parent, status                             sql.NullString // of an unfinished reply
	started                                        sql.NullTime
	index, held                                    sql.NullInt64
}

func (r *beforeRow) targets() []any {
	return []any{&r.name, &r.source, &r.model, &r.parameters, &r.context, &r.titleTries, &r.revision, &r.head,
		&r.pinned, &r.archived, &r.temporary, &r.expires, &r.lastMessage, &r.created, &r.updated,
		&r.headIndex, &r.lineBytes, &r.rootBytes, &r.lineTokens,
		&r.hash, &r.conversation, &r.question, &r.reply,
		&r.running, &r.nth, &r.tokens, &r.reserved, &r.conversations,
		&r.id, &r.parent, &r.status, &r.started, &r.index, &r.held}
}

// state is what all rows say alike.
func (r *beforeRow) state(q chat.SendQuery) chat.SendState {
	s := chat.SendState{Running: r.running, Tokens: int(r.tokens.Int64), Reserved: int(r.reserved.Int64),
		Conversations: r.conversations, HeadIndex: -1, LineBytes: int(r.lineBytes.Int64),
		RootBytes: int(r.rootBytes.Int64), LineTokens: int(r.lineTokens.Int64), Nth: timeOrNil(r.nth)}
	if !r.lineTokens.Valid { // It ended before it used any, and does not hold any more what it held.
		s.LineTokens = prompt.Tokens(s.LineBytes)
	}
	if r.hash.Valid {
		s.Known = &ent.Send{UserID: q.UserID, ClientKey: q.ClientKey, PayloadHash: r.hash.String,
			ConversationID: pid.ID(r.conversation.String), UserMessageID: pid.ID(r.question.String),
			ReplyID: pid.ID(r.reply.String)}
	}
	if !r.head.Valid {
		return s
	}
	if r.headIndex.Valid {
		s.HeadIndex = int(r.headIndex.Int64)
	}
	s.Conversation = &ent.Conversation{ID: q.ConversationID, UserID: q.UserID, Name: r.name.String,
		NameSource: conversation.NameSource(r.source.String), Parameters: r.parameters.String,
		ContextSettings: r.context.String, TitleTries: int(r.titleTries.Int64), Revision: int(r.revision.Int64),
		HeadID: pid.ID(r.head.String), Pinned: r.pinned.Bool, ArchivedAt: timeOrNil(r.archived),
		Temporary: r.temporary.Bool, ExpiresAt: timeOrNil(r.expires), LastMessageAt: r.lastMessage.Time.UTC(),
		CreatedAt: r.created.Time.UTC(), UpdatedAt: r.updated.Time.UTC()}
	if r.model.Valid {
		s.Conversation.Model = &r.model.String
	}
	return s
}

func (r *beforeRow) unfinished(q chat.SendQuery) *ent.Message {
	m := &ent.Message{ID: pid.ID(r.id.String), UserID: q.UserID, ConversationID: q.ConversationID,
		Status: message.Status(r.status.String), StartedAt: timeOrNil(r.started), Index: int(r.index.Int64)}
	if r.parent.Valid {
		parent := pid.ID(r.parent.String)
		m.ParentID = &parent
	}
	if r.held.Valid {
		held := int(r.held.Int64)
		m.ReservedTokens = &held
	}
	return m
}

// StoreSend implements chat.Sends.
func (s *Store) StoreSend(ctx context.Context, tx *ent.Tx, w chat.SendRows) error {
	c, question, reply := w.Conversation, w.Question, w.Reply
	for _, owner := range []pid.ID{c.UserID, question.UserID, reply.UserID} {
		if err := ownedBy(ctx, owner); err != nil {
			return err
		}
	}
	statements := s.statements.goOn
	args := make([]any, 0, 26)
	args = append(args, string(c.UserID), string(c.ID), question.CreatedAt, c.UpdatedAt, string(c.HeadID), c.Name,
		string(question.ID), orNull(question.ParentID), question.Index, question.Content,
		reply.Index, string(reply.Status), orNull(reply.Model), reply.Parameters, orNull(reply.Owner), reply.Attempt,
		timeOrNull(reply.StartedAt),
		string(pid.New(pid.Send)), orNull(w.ClientKey), w.PayloadHash, reply.ReservedTokens, reply.PromptBytes)
	if root := w.Root; root != nil {
		statements = s.statements.begin
		args = append(args, string(c.NameSource), orNull(c.Model), c.Parameters, root.Content)
	}
	for i, statement := range statements {
		result, err := tx.ExecContext(ctx, statement, args...)
		if err != nil {
			return fmt.Errorf("store send: %w", err)
		}
		if i > 0 {
			continue
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return errors.Join(errors.New("store send: its conversation is gone"), err)
		}
	}
	return nil
}

// storedBytes adds up the texts of a user's messages. Their lengths are read, not they.
const storedBytes = `
SELECT CAST(sum(octet_length(m.content) + octet_length(m.reasoning)) AS bigint)
FROM conversations AS c JOIN messages AS m ON m.conversation_id = c.id
WHERE c.user_id = $1 AND m.user_id = c.user_id`

// StoredBytes implements chat.Store.
func (s *Store) StoredBytes(ctx context.Context, userID pid.ID) (int, error) {
	if err := ownedBy(ctx, userID); err != nil {
		return 0, err
	}
	var n sql.NullInt64
	if err := s.read.QueryRowContext(ctx, storedBytes, string(userID)).Scan(&n); err != nil {
		return 0, fmt.Errorf("add up what is stored: %w", err)
	}
	return int(n.Int64), nil
}

// ownedBy is the second lock on rows that statements written by hand read and write for a
// user: it denies them to anybody else, and to nobody.
func ownedBy(ctx context.Context, userID pid.ID) error {
	if v, ok := viewer.From(ctx); ok {
		if id, ok := v.User(); ok && id == userID {
			return nil
		}
	}
	return privacy.Denyf("only users themselves may do this with their rows")
}

// readTime reads the one time that a query gives.
func readTime(ctx context.Context, tx *ent.Tx, query string, args ...any) (at time.Time, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if !rows.Next() {
		return time.Time{}, errors.Join(errors.New("no row"), rows.Err())
	}
	if err := rows.Scan(&at); err != nil {
		return time.Time{}, err
	}
	return at.UTC(), rows.Err()
}

// orNull is a text for a column that may be null.
func orNull[T ~string](v *T) any {
	if v == nil {
		return nil
	}
	return string(*v)
}

// numberOrNull is a number for a column that may be null.
func numberOrNull(n *int) any {
	if n == nil {
		return nil
	}
	return int64(*n)
}

func timeOrNull(t *time.Time) any {
	if t == nil {
		return nil
	}
	return *t
}

func timeOrNil(t sql.NullTime) *time.Time {
	if !t.Valid {
		return nil
	}
	at := t.Time.UTC()
	return &at
}
