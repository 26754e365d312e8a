package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"entgo.io/ent/dialect"

	"parley/ent"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/usage"
)

// finalColumns are what the end of a reply sets beside its texts, in the order of
// finalValues.
var finalColumns = []string{"status", "finish_reason", "error_code", "prompt_tokens", "completion_tokens",
	"cached_tokens", "reasoning_tokens", "usage_estimated", "system_prompt_hash", "prompt_bytes", "attempt",
	"context_policy", "context_from_index", "context_count", "context_dropped", "context_limit",
	"context_summary_id", "cut_by_server", "dropped_parameters", "omitted_output", "citations", "cache_write_tokens",
	"reasoning_ms", "first_token_ms"}

// finalValues takes the pointers off itself: database/sql would box each value twice.
func finalValues(m *ent.Message) []any {
	return []any{string(m.Status), orNull(m.FinishReason), orNull(m.ErrorCode),
		numberOrNull(m.PromptTokens), numberOrNull(m.CompletionTokens),
		numberOrNull(m.CachedTokens), numberOrNull(m.ReasoningTokens), m.UsageEstimated, orNull(m.SystemPromptHash),
		numberOrNull(m.PromptBytes), int64(m.Attempt),
		orNull(m.ContextPolicy), numberOrNull(m.ContextFromIndex), numberOrNull(m.ContextCount),
		numberOrNull(m.ContextDropped), numberOrNull(m.ContextLimit),
		orNull(m.ContextSummaryID), m.CutByServer, m.DroppedParameters, m.OmittedOutput, m.Citations,
		numberOrNull(m.CacheWriteTokens), numberOrNull(m.ReasoningMs), numberOrNull(m.FirstTokenMs)}
}

// finalUpdate makes a reply final. Its parameters from $1 on are the texts, what
// finalColumns lists, and more of the caller's for finishedAt; it returns the number of the
// next one, the first of the four of the fence.
func finalUpdate(finishedAt string) (update string, next int) {
	var set []string
	for c := range (reply.Texts{}) {
		set = append(set, reply.Channel(c).Column())
	}
	set = append(set, finalColumns...)
	for i := range set {
		set[i] = fmt.Sprintf("%s = $%d", set[i], i+1)
	}
	next = len(set) + 1
	if finishedAt == "" {
		finishedAt = fmt.Sprintf("$%d", next)
		next++
	}
	return fmt.Sprintf(`UPDATE messages SET %s, salvage = '', finished_at = %s
WHERE id = $%d AND user_id = $%d AND attempt = $%d AND owner = $%d AND status = 'STREAMING'`,
		strings.Join(set, ", "), finishedAt, next, next+1, next+2, next+3), next
}

// waitingColumns are those of reply.Waiting.
var waitingColumns = []string{"id", "parent_id", `"index"`, "active", "model", "parameters", "created_at"}

// firstWaiting finds the first queued reply of a conversation, in the words of the partial
// index: see package reply's predicates. %s is what to select, and the two %d are the
// parameters for the conversation and its owner.
const firstWaiting = `SELECT %s FROM messages
  WHERE conversation_id = $%d AND user_id = $%d
    AND (status = 'QUEUED' OR status = 'STREAMING') AND status = 'QUEUED'
  ORDER BY "index" LIMIT 1`

// endStatement is the end of a reply on SQLite, which writes one table in a statement: the
// usage is another one, and so is the version of the conversation. It returns a row where the
// fence held, with the reply that waits as JSON, since sub-selects have one column.
func endStatement() string {
	update, next := finalUpdate("")
	var object []string
	for _, column := range waitingColumns {
		object = append(object, fmt.Sprintf("'%s', %s", strings.Trim(column, `"`), column))
	}
	waiting := fmt.Sprintf(firstWaiting, "json_object("+strings.Join(object, ", ")+")", next+4, next+5)
	return update + "\nRETURNING (" + waiting + ")"
}

// endAtOnce is the end of a reply on Postgres: the row, what it has used, the version of the
// conversation, and a look for what waits. It returns a row where the fence held. The transaction has the lock already:
// the snapshot of this statement must be younger than that.
func endAtOnce() string {
	update, next := finalUpdate("clock_timestamp()")
	user, conversation, counted := next+1, next+4, next+5
	var used []string
	for i, kind := range []string{"text", "text", "text", "text", "bigint", "bigint", "bigint", "bigint", "bigint"} {
		used = append(used, fmt.Sprintf("$%d::%s", counted+1+i, kind))
	}
	waiting := fmt.Sprintf(firstWaiting, strings.Join(waitingColumns, ", "), conversation, user)
	return fmt.Sprintf(`
WITH final AS (
%s
RETURNING finished_at
), used AS (
INSERT INTO usage_days (%s)
SELECT %s, $%d::varchar, %s, '', 1, %s, 0, %s FROM final WHERE $%d::boolean
%s
), touched AS (
UPDATE conversations SET updated_at = greatest(updated_at + interval '1 millisecond', final.finished_at)
FROM final WHERE conversations.id = $%d AND conversations.user_id = $%d
RETURNING %s
)
SELECT final.finished_at, waiting.*, touched.* FROM final LEFT JOIN (
  %s
) AS waiting ON true LEFT JOIN touched ON true`,
		update, usageColumns,
		used[0], user, strings.Join(used[1:4], ", "), strings.Join(used[4:8], ", "), used[8], counted,
		usageConflict, conversation, user, touchedColumns, waiting)
}

// End implements reply.Store.
func (s *Store) End(ctx context.Context, tx *ent.Tx, end reply.End) (reply.Ended, error) {
	write := s.end
	if s.dialect == dialect.Postgres {
		if err := s.Lock(ctx, tx, string(end.Final.ConversationID)); err != nil {
			return reply.Ended{}, err
		}
		write = s.endAtOnce
	}
	ended, err := write(ctx, tx, end)
	if err != nil {
		return reply.Ended{}, fmt.Errorf("end reply: %w", err)
	}
	return ended, nil
}

// endValues are the parameters up to the fence, with those of the caller before it.
func endValues(end reply.End, more ...any) []any {
	texts := reply.TextsOf(end.Final)
	args := make([]any, 0, len(texts)+len(finalColumns)+16)
	for _, text := range texts {
		args = append(args, text)
	}
	args = append(args, finalValues(end.Final)...)
	args = append(args, more...)
	return append(args, string(end.Final.ID), string(end.Final.UserID), end.Attempt, string(end.Owner))
}

func (s *Store) end(ctx context.Context, tx *ent.Tx, end reply.End) (ended reply.Ended, err error) {
	now, err := s.Now(ctx)
	if err != nil {
		return ended, err
	}
	args := append(endValues(end, now), string(end.Final.ConversationID), string(end.Final.UserID))
	held, waiting, err := s.endRow(ctx, tx, args)
	if err != nil || !held {
		return ended, err
	}
	ended.At = now
	ended.Conversation, err = s.Touch(ctx, tx, end.Final.UserID, end.Final.ConversationID, now)
	if err != nil {
		return reply.Ended{}, err
	}
	if waiting != nil {
		if ended.Next, err = waitingOf(*waiting); err != nil {
			return reply.Ended{}, err
		}
	}
	if end.Used == nil {
		return ended, nil
	}
	return ended, s.AddUsage(ctx, tx, *end.Used)
}

// endRow runs endStatement. Its rows are closed before the next statement.
func (s *Store) endRow(ctx context.Context, tx *ent.Tx, args []any) (held bool, waiting *string, err error) {
	rows, err := tx.QueryContext(ctx, s.statements.end, args...)
	if err != nil {
		return false, nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if rows.Next() {
		held = true
		err = rows.Scan(&waiting)
	}
	return held, waiting, errors.Join(err, rows.Err())
}

// waitingOf reads what endStatement says of a reply that waits.
func waitingOf(object string) (*reply.Waiting, error) {
	var w struct {
		ID         pid.ID  `json:"id"`
		ParentID   *pid.ID `json:"parent_id"`
		Index      int     `json:"index"`
		Active     int     `json:"active"`
		Model      *string `json:"model"`
		Parameters string  `json:"parameters"`
		CreatedAt  int64   `json:"created_at"` // In microseconds, as SQLite stores it.
	}
	if err := json.Unmarshal([]byte(object), &w); err != nil {
		return nil, fmt.Errorf("read the waiting reply: %w", err)
	}
	return &reply.Waiting{ID: w.ID, ParentID: w.ParentID, Index: w.Index, Active: w.Active != 0, Model: w.Model,
		Parameters: w.Parameters, CreatedAt: time.UnixMicro(w.CreatedAt).UTC()}, nil
}

func (s *Store) endAtOnce(ctx context.Context, tx *ent.Tx, end reply.End) (ended reply.Ended, err error) {
	used := usage.Call{}
	if end.Used != nil {
		used = *end.Used
	}
	args := append(endValues(end), string(end.Final.ConversationID), end.Used != nil,
		string(pid.New(pid.UsageDay)), used.Day, used.Model, string(used.Purpose),
		used.PromptTokens, used.CompletionTokens, used.CachedTokens, used.ReasoningTokens, estimated(used))
	rows, err := tx.QueryContext(ctx, s.statements.end, args...)
	if err != nil {
		return ended, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if !rows.Next() {
		return ended, rows.Err()
	}
	var w struct {
		id, parent, model, parameters *string
		index                         *int
		active                        *bool
		created                       *time.Time
	}
	var at time.Time
	var touched touchedRow
	err = rows.Scan(append([]any{&at, &w.id, &w.parent, &w.index, &w.active, &w.model, &w.parameters, &w.created},
		touched.targets()...)...)
	if err = errors.Join(err, rows.Err()); err != nil {
		return ended, err
	}
	ended.At = at.UTC()
	ended.Conversation = touched.conversation(end.Final.UserID, end.Final.ConversationID)
	if w.id != nil {
		ended.Next = &reply.Waiting{ID: pid.ID(*w.id), ParentID: (*pid.ID)(w.parent), Index: *w.index,
			Active: *w.active, Model: w.model, Parameters: *w.parameters, CreatedAt: w.created.UTC()}
	}
	return ended, nil
}
