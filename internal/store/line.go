package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"parley/internal/pid"
	"parley/internal/prompt"
	"parley/internal/reply"
)

// lineRow is a row of a line in one column, since each costs two allocations a row: role, status,
// index, why it ended, what it says about its prompt, and its text. Message 0 says how the
// context of the conversation is chosen. No word before the text has a slash.
const lineRow = `m.role || '/' || m.status || '/' || m."index" || '/' ||
  COALESCE(m.error_code, m.finish_reason, '') || '/' ||
  CASE WHEN m."index" = 0 THEN COALESCE((SELECT c.context_settings FROM conversations AS c
    WHERE c.id = m.conversation_id AND c.user_id = u.id), '')
  WHEN m.context_from_index IS NULL THEN ''
  ELSE m.context_from_index || ',' || COALESCE(m.context_dropped, 0) || ',' || COALESCE(m.prompt_bytes, 0) || ','
    || COALESCE(m.context_count, 0) || ','
    || CASE WHEN m.usage_estimated OR m.cut_by_server THEN 0 ELSE COALESCE(m.prompt_tokens, 0) END || ','
    || CASE WHEN m.context_policy = 'FULL' AND m.context_dropped > 0 THEN replace(COALESCE(m.model, ''), '/', ' ')
      ELSE '' END END || '/' || m.content`

// lineOf is a user's visible line before an index, and nothing for a user who is disabled.
const lineOf = ` FROM users AS u JOIN messages AS m ON m.user_id = u.id
WHERE m.conversation_id = $1 AND u.id = $2 AND m.active AND u.disabled_at IS NULL AND m."index" < $3`

// lineQuery reads a line from an index on, in order; lineEnd its newest rows, backwards; and
// lineEnds those and message 0. What is sent of it is decided in package prompt.
const (
	lineQuery = `SELECT ` + lineRow + lineOf + ` AND m."index" >= $4 ORDER BY m."index"`
	lineEnd   = `SELECT ` + lineRow + lineOf + ` ORDER BY m."index" DESC LIMIT `
	lineEnds  = `SELECT ` + lineRow + lineOf + ` AND m."index" = 0
UNION ALL SELECT * FROM (` + lineEnd + `64) AS newest`
)

// firstRows is how many rows of a line get room at once. A line has nearly always as
// many as its next index says.
const firstRows = 1 << 13

// Line implements reply.Store.
func (s *Store) Line(
	ctx context.Context, userID, conversationID pid.ID, before, maxBytes int,
) ([]prompt.Row, error) {
	var line prompt.Line
	err := s.ReadLine(ctx, reply.LineQuery{UserID: userID, ConversationID: conversationID, Before: before,
		MaxBytes: maxBytes}, &line)
	return line.Rows, err
}

// ReadLine implements reply.Store. Only so many prompts are read at a time, in the order in which
// they are asked for: a pool gives its connections to anybody who waits, and a few would
// wait for very long.
func (s *Store) ReadLine(ctx context.Context, q reply.LineQuery, line *prompt.Line) error {
	head, tail := line.Split()
	before := q.Before
	if len(tail) > 0 {
		before = tail[0].Index
	}
	r := lineReader{maxBytes: q.MaxBytes, whole: q.Newest == reply.WholeLine}
	args := []any{string(q.ConversationID), string(q.UserID), before}
	query := s.statements.lineEnds
	switch {
	case r.whole:
		query, args = s.statements.line, append(args, min(len(head), 1))
		r.rows = make([]prompt.Row, 0, min(max(before, 0), firstRows))
		for _, row := range line.Rows {
			r.bytes += len(row.Content)
		}
		if r.bytes > q.MaxBytes {
			return reply.ErrLineTooLong
		}
	case len(line.Rows) == 0:
		r.rows = make([]prompt.Row, 0, reply.LineBatch+1)
	case q.Newest > reply.LineBatch:
		query = s.statements.lineEndMany
	default:
		query = s.statements.lineEnd
	}
	if _, err := s.prompts.enter(ctx, ordinary, nil); err != nil {
		return fmt.Errorf("read line: %w", err)
	}
	defer s.prompts.leave()
	if err := r.read(ctx, s, query, args); err != nil {
		return err
	}
	if line.Rows == nil {
		line.Settings = r.settings
	}
	r.addTo(line, q.Newest)
	return nil
}

// lineReader collects rows of a line.
type lineReader struct {
	maxBytes int
	whole    bool // All rows in order; otherwise the newest, backwards.

	rows     []prompt.Row
	bytes    int
	stopped  bool // Since the texts have more than maxBytes.
	settings string
	last     prompt.Last // What these rows say: all are older than those that a line has.
}

// read reads the rows that a query gives.
func (r *lineReader) read(ctx context.Context, s *Store, query string, args []any) (err error) {
	rows, err := s.readFew(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("read line: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var text string // What the driver hands out is kept: the content is a part of it.
	for !r.stopped && ctx.Err() == nil && rows.Next() {
		if err := rows.Scan(&text); err != nil {
			return fmt.Errorf("read line: %w", err)
		}
		if err := r.add(text); err != nil {
			return fmt.Errorf("read line: %w", err)
		}
		if r.stopped && r.whole {
			return reply.ErrLineTooLong
		}
	}
	if err := cmp.Or(rows.Err(), context.Cause(ctx)); err != nil {
		return fmt.Errorf("read line: %w", err)
	}
	return nil
}

// add takes a row over that lineRow has put together.
func (r *lineReader) add(text string) error {
	role, rest, _ := strings.Cut(text, "/")
	status, rest, _ := strings.Cut(rest, "/")
	index, rest, _ := strings.Cut(rest, "/")
	code, rest, _ := strings.Cut(rest, "/")
	facts, content, _ := strings.Cut(rest, "/")
	row := prompt.Row{Role: prompt.StoredRole(role), Status: prompt.StoredStatus(status)}
	var err error
	if row.Index, err = strconv.Atoi(index); err != nil {
		return err
	}
	if row.Role == prompt.Assistant {
		row.Refused = reply.Refused(row.Status, reply.Code(code), content)
	}
	if prompt.Sent(row.Role, row.Status) && !row.Refused {
		row.Content = content
	}
	switch {
	case row.Index == 0:
		r.settings = strings.Clone(facts) // Not to keep the text behind it.
	case facts != "":
		if err := r.note(&row, facts); err != nil {
			return err
		}
	}
	r.rows = append(r.rows, row)
	r.bytes += len(row.Content)
	r.stopped = r.bytes > r.maxBytes
	return nil
}

// note takes over what a reply says about its prompt.
func (r *lineReader) note(row *prompt.Row, facts string) (err error) {
	var numbers [5]int
	for i := range numbers {
		word, rest, _ := strings.Cut(facts, ",")
		if numbers[i], err = strconv.Atoi(word); err != nil {
			return err
		}
		facts = rest
	}
	from, dropped := numbers[0], numbers[1]
	row.Alone = dropped > 0 && from == row.Index-1
	last := prompt.Last{Bytes: numbers[2], Count: numbers[3], Tokens: numbers[4]}
	if !row.Refused || !row.Alone { // No later window begins at a question that is not sent again.
		last.From, last.Cut = from, strings.Clone(facts)
	}
	if r.whole { // The newest comes last.
		last.Join(r.last)
		r.last = last
	} else {
		r.last.Join(last)
	}
	return nil
}

// addTo puts the rows before those that a line has.
func (r *lineReader) addTo(line *prompt.Line, newest int) {
	head, tail := line.Split()
	line.Last.Join(r.last)
	if r.whole {
		line.Whole = true
		if line.Rows == nil {
			line.Rows = r.rows
			return
		}
		line.Rows = slices.Concat(head, r.rows, tail)
		return
	}
	rows := r.rows
	if len(rows) > 0 && rows[0].Index == 0 { // Message 0 comes first, and once more in a short line.
		head, rows = rows[:1:1], rows[1:]
	}
	if n := len(rows); n > 0 && rows[n-1].Index == 0 {
		rows, line.Whole = rows[:n-1], true
	}
	line.Whole = line.Whole || !r.stopped && len(rows) < newest
	slices.Reverse(rows)
	line.Rows = slices.Concat(head, rows, tail)
}
