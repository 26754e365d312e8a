package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"entgo.io/ent/dialect"
	"github.com/lib/pq"

	"parley/ent"
	"parley/internal/pid"
	"parley/internal/reply"
)

// The statements here are written by hand because they run for every reply or
// every second of one, where Ent's scanning costs half of the time. Each names the
// owner, since privacy policies do not see them.

// ownQuery finds what runs on a replica.
const ownQuery = `
SELECT m.id, m.stop_requested_at IS NOT NULL, u.disabled_at IS NOT NULL
FROM messages AS m LEFT JOIN users AS u ON u.id = m.user_id
WHERE m.owner = $1 AND m.status = 'STREAMING'`

// Owned implements reply.Store.
func (s *Store) Owned(ctx context.Context, owner pid.ID) (list []reply.Owned, err error) {
	rows, err := s.readFew(ctx, s.statements.owned, string(owner))
	if err != nil {
		return nil, fmt.Errorf("look at own replies: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var row reply.Owned
		if err := rows.Scan(&row.ID, &row.StopRequested, &row.Disabled); err != nil {
			return nil, fmt.Errorf("look at own replies: %w", err)
		}
		list = append(list, row)
	}
	return list, rows.Err()
}

// checkpointStatement stores the texts of one row. It takes them first, then the four values of
// the fence.
func checkpointStatement() string {
	var set []string
	n := 0
	for c := range (reply.Texts{}) {
		n++
		set = append(set, fmt.Sprintf("%s = $%d", reply.Channel(c).Column(), n))
	}
	return fmt.Sprintf(`
UPDATE messages SET %s
WHERE id = $%d AND user_id = $%d AND attempt = $%d AND owner = $%d AND status = 'STREAMING'`,
		strings.Join(set, ", "), n+1, n+2, n+3, n+4)
}

// checkpointMany is the same for many rows at once, each parameter but the owner being an
// array. On Postgres each statement costs a round trip.
func checkpointMany() string {
	var set, columns, arrays []string
	n := 0
	for c := range (reply.Texts{}) {
		n++
		column := reply.Channel(c).Column()
		set = append(set, column+" = due."+column)
		columns = append(columns, column)
		arrays = append(arrays, fmt.Sprintf("$%d::text[]", n))
	}
	return fmt.Sprintf(`
UPDATE messages SET %s
FROM unnest(%s, $%d::text[], $%d::text[], $%d::bigint[]) AS due (%s, id, user_id, attempt)
WHERE messages.id = due.id AND messages.user_id = due.user_id AND messages.attempt = due.attempt
  AND messages.owner = $%d AND messages.status = 'STREAMING'
RETURNING messages.id`,
		strings.Join(set, ", "), strings.Join(arrays, ", "), n+1, n+2, n+3, strings.Join(columns, ", "), n+4)
}

// Checkpoint implements reply.Store.
func (s *Store) Checkpoint(ctx context.Context, owner pid.ID, due []reply.Checkpoint) ([]pid.ID, error) {
	ctx = context.WithValue(ctx, classKey{}, background)
	write := s.checkpointEach
	if s.dialect == dialect.Postgres {
		write = s.checkpointAtOnce
	}
	lost, err := write(ctx, owner, due)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return lost, nil
}

func (s *Store) checkpointEach(ctx context.Context, owner pid.ID, due []reply.Checkpoint) (lost []pid.ID, err error) {
	err = s.InTx(ctx, func(tx *ent.Tx) error {
		for _, c := range due {
			var args []any
			for _, text := range c.Texts {
				args = append(args, text)
			}
			args = append(args, string(c.MessageID), string(c.UserID), c.Attempt, string(owner))
			result, err := tx.ExecContext(ctx, s.statements.checkpoint, args...)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			if n == 0 {
				lost = append(lost, c.MessageID)
			}
		}
		return nil
	})
	return lost, err
}

func (s *Store) checkpointAtOnce(ctx context.Context, owner pid.ID, due []reply.Checkpoint) (lost []pid.ID, err error) {
	n := len(due)
	ids, users, attempts := make([]string, n), make([]string, n), make([]int64, n)
	missing := make(map[pid.ID]bool, n)
	for i, c := range due {
		ids[i], users[i], attempts[i] = string(c.MessageID), string(c.UserID), int64(c.Attempt)
		missing[c.MessageID] = true
	}
	var args []any
	for channel := range (reply.Texts{}) {
		texts := make([]string, n)
		for i, c := range due {
			texts[i] = c.Texts[channel]
		}
		args = append(args, pq.Array(texts))
	}
	args = append(args, pq.Array(ids), pq.Array(users), pq.Array(attempts), string(owner))
	rows, err := s.write.QueryContext(ctx, s.statements.checkpoints, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id pid.ID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		delete(missing, id)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for _, c := range due {
		if missing[c.MessageID] {
			lost = append(lost, c.MessageID)
		}
	}
	return lost, nil
}

// statements are those written by hand in the words of the dialect, made once.
type statements struct {
	line, lineEnd, lineEndMany, lineEnds                string
	summary, checkpoint, checkpoints, usage, end, touch string
	owned                                               string
	// goOn and begin write a send into a conversation that exists, and into a new one.
	goOn, begin []string
}

func statementsFor(name string) statements {
	end := endStatement
	if name == dialect.Postgres {
		end = endAtOnce
	}
	return statements{
		line:        bind(name, lineQuery),
		lineEnd:     bind(name, lineEnd+strconv.Itoa(reply.LineBatch)),
		lineEndMany: bind(name, lineEnd+strconv.Itoa(reply.ManyRows)),
		lineEnds:    lineEnds, // Its parameters stand in it twice, which both dialects take.
		owned:       bind(name, ownQuery),
		summary:     bind(name, newestSummary),
		checkpoint:  bind(name, checkpointStatement()),
		checkpoints: checkpointMany(), // On Postgres only.
		usage:       bind(name, usageStatement),
		end:         bind(name, end()),
		touch:       touchStatement(name),
		goOn:        storing(name, moveConversation, valuesOfPair),
		begin:       storing(name, makeConversation, valuesOfRoot+valuesOfPair),
	}
}

// bind turns $1, $2, … into the placeholders of the dialect. The parameters of our
// statements stand in order and once each.
func bind(name, query string) string {
	if name == dialect.Postgres {
		return query
	}
	for i := 1; strings.Contains(query, fmt.Sprintf("$%d", i)); i++ {
		query = strings.Replace(query, fmt.Sprintf("$%d", i), "?", 1)
	}
	return query
}
