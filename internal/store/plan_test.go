package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/bus"
	models "parley/internal/catalog"
	"parley/internal/chat"
	"parley/internal/feed"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/reply/replytest"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// silent is a model that says one word.
type silent struct{}

func (silent) Generate(_ context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
	return reply.Result{FinishReason: reply.FinishStop}, out.Append(reply.Content, "yes")
}

// journal keeps the statements that Ent runs.
type journal struct {
	mu   sync.Mutex
	list []store.Statement
}

func (j *journal) record(s store.Statement) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.list = append(j.list, s)
}

// take returns what was recorded since the last call.
func (j *journal) take() []store.Statement {
	j.mu.Lock()
	defer j.mu.Unlock()
	list := j.list
	j.list = nil
	return list
}

// wait returns all statements so far once one of them contains match.
func (j *journal) wait(t *testing.T, match string) []store.Statement {
	t.Helper()
	ctx := deadline(t, t.Context())
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		j.mu.Lock()
		list := slices.Clone(j.list)
		j.mu.Unlock()
		if slices.ContainsFunc(list, func(s store.Statement) bool { return strings.Contains(plain(s), match) }) {
			return list
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("no statement contains %q", match)
		}
	}
}

// plain is a statement without the quotes around names.
func plain(s store.Statement) string { return strings.NewReplacer("`", "", `"`, "").Replace(s.Query) }

// explain returns the plan of a statement, a line each.
func explain(t *testing.T, s *store.Store, st store.Statement) string {
	t.Helper()
	write, _ := s.Pools()
	tx, err := write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }() // Nothing was written.
	prefix := "EXPLAIN QUERY PLAN "
	if s.Dialect() == dialect.Postgres {
		prefix = "EXPLAIN "
		// The tables are small enough to be read whole; here it counts what an index
		// could do.
		if _, err := tx.ExecContext(t.Context(), "SET LOCAL enable_seqscan = off"); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := tx.QueryContext(t.Context(), prefix+st.Query, st.Args...)
	if err != nil {
		t.Fatalf("explain %s: %v", st.Query, err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var a, b, c any
		var line string
		targets := []any{&a, &b, &c, &line}
		if prefix == "EXPLAIN " {
			targets = targets[3:]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}

// A full scan: SQLite's SCAN that names no index, Postgres' Seq Scan.
var (
	fullScan = regexp.MustCompile(`(?m)^SCAN (messages|summaries|conversations|sends|users|replicas|usage_days)\w*$|Seq Scan`)
	sorting  = regexp.MustCompile(`TEMP B-TREE|Sort Key`)
)

// seeded makes 5,500 messages: one line of 3,000, and 250 of ten.
func seeded(t testing.TB, s *store.Store) (person, *line) {
	t.Helper()
	u := makeUser(t, s, "a@example.com")
	long := makeLine(t, s, u)
	long.fill(2999)
	head := long.add(message.RoleASSISTANT, message.StatusCOMPLETED, "last")
	s.Client().Conversation.UpdateOneID(long.id).SetHeadID(head.ID).ExecX(u.ctx)
	others := []person{u, makeUser(t, s, "b@example.com"), makeUser(t, s, "c@example.com")}
	err := s.InTx(t.Context(), func(tx *ent.Tx) error {
		for i := range 250 {
			o := others[i%len(others)]
			c, err := tx.Conversation.Create().SetUserID(o.id).SetHeadID("x").Save(o.ctx)
			if err != nil {
				return err
			}
			var batch []*ent.MessageCreate
			for index := range 10 {
				role := message.RoleUSER
				if index%2 == 0 {
					role = message.RoleASSISTANT
				}
				batch = append(batch, tx.Message.Create().SetConversationID(c.ID).SetUserID(o.id).SetIndex(index).
					SetRole(role).SetContent("text"))
			}
			if err := tx.Message.CreateBulk(batch...).Exec(o.ctx); err != nil {
				return err
			}
			if err := tx.Send.Create().SetUserID(o.id).SetPayloadHash("h").SetConversationID(c.ID).
				SetUserMessageID("u").SetReplyID("r").
				SetCreatedAt(time.Now().Add(-time.Duration(i) * time.Hour)).Exec(o.ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	write, _ := s.Pools()
	if _, err := write.ExecContext(t.Context(), "ANALYZE"); err != nil {
		t.Fatal(err)
	}
	// A long line has few summaries, which are those of other branches, too.
	for range 40 {
		hidden := s.Client().Message.Create().SetConversationID(long.id).SetUserID(u.id).SetIndex(2000).
			SetRole(message.RoleASSISTANT).SetActive(false).SaveX(u.ctx)
		s.Client().Summary.Create().SetConversationID(long.id).SetUserID(u.id).SetMessageID(hidden.ID).
			SetContent("text").SetModel("test").ExecX(u.ctx)
	}
	return u, long
}

// startChat returns the domain over a store, with a model that answers at once.
// The engine may have a store of its own.
func startChat(t testing.TB, s *store.Store, engineStore ...*store.Store) *chat.Service {
	t.Helper()
	b, log := bus.NewLocal(), slog.New(slog.DiscardHandler)
	engine := reply.New(replytest.Config(reply.Config{}), append(engineStore, s)[0], silent{}, b, nil, log)
	if err := engine.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Stop(context.WithoutCancel(t.Context())) })
	cfg := chat.Config{WaitLimit: time.Minute, SendsPerMinute: 1 << 30, MaxRunning: 1000, TokensPerDay: 1 << 40,
		ConversationsPerDay: 1 << 20,
		MaxReplies:          1 << 20, MaxBacklog: time.Hour, MaxMessageBytes: 32 << 10,
		MaxSystemBytes: 32 << 10, MaxPromptBytes: 1 << 30}
	service, err := chat.New(cfg, s, engine, models.New(models.Config{Allowed: []string{"test"}}), b, log)
	if err != nil {
		t.Fatal(err)
	}
	return service
}

func TestQueryPlans(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, bare *store.Store) {
		u, long := seeded(t, bare)
		j, background := &journal{}, &journal{}
		s := bare.Recording(j.record)
		service := startChat(t, s, bare.Recording(background.record))
		postgres := s.Dialect() == dialect.Postgres

		// check explains the statements that match and wants one of the indexes in
		// each plan, no scan, and no sorting unless it is said to be small.
		check := func(what string, list []store.Statement, match string, sorted bool, indexes ...string) {
			t.Helper()
			found := false
			for _, st := range list {
				if !strings.Contains(plain(st), match) {
					continue
				}
				found = true
				plan := explain(t, s, st)
				named := len(indexes) == 0
				for _, index := range indexes {
					named = named || strings.Contains(plan, index)
				}
				if !named || fullScan.MatchString(plan) || sorted && sorting.MatchString(plan) {
					t.Errorf("%s: want index %q without scan or sorting\n%s\n%s", what, indexes, st.Query, plan)
				}
			}
			if !found {
				t.Errorf("%s: no statement contains %q", what, match)
			}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}

		line := store.Statement{Query: s.LineStatement(), Args: []any{string(long.id), string(u.id), 2999, 0}}
		// Postgres may prefer to sort most of a table over reading it in order.
		sum := store.Statement{Query: store.StoredBytesStatement, Args: []any{string(u.id)}}
		check("what a user has stored", []store.Statement{sum}, "SELECT", false, "message_conversation_id",
			"message_unfinished", "message_visible_line")
		check("line before a reply", []store.Statement{line}, "SELECT", !postgres, "message_visible_line",
			"message_conversation_id")
		for what, query := range s.LineEndStatements() {
			end := store.Statement{Query: query, Args: []any{string(long.id), string(u.id), 2999}}
			check("end of a line, "+what, []store.Statement{end}, "SELECT", true, "message_visible_line")
		}
		summary := store.Statement{Query: s.SummaryStatement(), Args: []any{string(long.id), string(u.id), 2999}}
		check("newest summary", []store.Statement{summary}, "SELECT", false, "summary_conversation_id_message_id",
			"summary_user_id")
		check("the message of a summary", []store.Statement{summary}, "SELECT", false, "autoindex_messages_1",
			"messages_pkey")
		checkpoint := store.Statement{Query: s.CheckpointStatement(),
			Args: []any{"c", "r", "id", string(u.id), 1, "owner"}}
		check("checkpoint", []store.Statement{checkpoint}, "UPDATE", true, "autoindex_messages_1", "messages_pkey",
			"message_one_streaming")

		for what, args := range map[string]chat.PageArgs{
			"first": {}, "last": {Last: ptr(20)}, "after": {After: ptr(chat.MessageCursor(1500))},
			"before": {Last: ptr(20), Before: ptr(chat.MessageCursor(1500))},
		} {
			_, err := service.ListMessages(u.ctx, u.id, []pid.ID{long.id}, args)
			must(err)
			check("messages page, "+what, j.take(), "FROM messages", true, "message_visible_line")
			at, id := time.Now(), pid.New(pid.Conversation)
			if args.After != nil {
				args.After = ptr(chat.ConversationCursor(at, id))
			}
			if args.Before != nil {
				args.Before = ptr(chat.ConversationCursor(at, id))
			}
			_, err = service.ListConversations(u.ctx, u.id, chat.ConversationFilter{Archived: ptr(false)}, args)
			must(err)
			check("conversations page, "+what, j.take(), "FROM conversations", true,
				"conversation_user_id_last_message_at_id")
		}
		_, err := service.ListMessages(u.ctx, u.id,
			[]pid.ID{long.id, pid.New(pid.Conversation), pid.New(pid.Conversation)}, chat.PageArgs{Last: ptr(5)})
		must(err)
		check("messages of many", j.take(), "FROM messages", false, "message_visible_line", "message_conversation_id")
		_, err = service.RunningReplies(u.ctx, u.id, []pid.ID{long.id})
		must(err)
		check("running reply", j.take(), "FROM messages", true, "message_one_streaming", "message_unfinished",
			"message_running_by_owner")
		_, err = service.Withheld(u.ctx, u.id, []pid.ID{pid.New(pid.Message), pid.New(pid.Message)})
		must(err)
		check("replies to questions", j.take(), "FROM messages", true, "message_parent_id")
		_, err = service.Summaries(u.ctx, u.id, []pid.ID{pid.New(pid.Summary)})
		must(err)
		check("summaries", j.take(), "FROM summaries", true, "autoindex_summaries_1", "summaries_pkey",
			"summary_user_id")
		_, err = service.CountMessages(u.ctx, u.id, []pid.ID{long.id})
		must(err)
		check("count of messages", j.take(), "FROM messages", false, "message_visible_line", "message_conversation_id")

		_, err = service.SendMessage(u.ctx, u.id,
			chat.SendInput{ConversationID: &long.id, Content: "hello", ClientKey: ptr("key-00001"), Wait: true})
		must(err)
		sent := j.take()
		// Of all these rows none or three exist at a time, so any partial index will do.
		partial := []string{"message_unfinished", "message_one_streaming", "message_running_by_owner"}
		for what, indexes := range map[string][]string{
			"unfinished": partial, "the known send": {"send_user_id_client_key"},
			"sends of a minute":       {"send_user_id_created_at"},
			"tokens of a day":         {"usageday_user_id_day_model_purpose_currency"},
			"the conversation":        {"sqlite_autoindex_conversations_1", "conversations_pkey"},
			"the conversation's head": {"sqlite_autoindex_messages_1", "messages_pkey"},
		} {
			check("before a send, "+what, sent, "FROM sends AS s", true, indexes...)
		}
		for _, st := range sent {
			if st.Query == store.CommitQuery || strings.HasPrefix(st.Query, "INSERT") ||
				strings.Contains(st.Query, "pg_advisory") {
				continue
			}
			if plan := explain(t, s, st); fullScan.MatchString(plan) {
				t.Errorf("send: a full scan\n%s\n%s", st.Query, plan)
			}
		}
		feeds := feed.New(s, idle{}, bus.NewLocal())
		open, err := feeds.Conversation(u.ctx, u.id, long.id)
		must(err)
		list := feeds.List(u.id)
		for _, f := range []*feed.Feed{open, list} {
			_, err := f.Next(u.ctx)
			must(err)
			f.Close()
		}
		opened := j.take()
		check("unfinished replies of a conversation", opened, "status = 'QUEUED'", false, partial...)
		check("last deletion of a list", opened, "ORDER BY conversation_deletions.id DESC", true,
			"conversationdeletion_user_id_id")
		check("latest changes of a list", opened, "ORDER BY conversations.updated_at DESC", true,
			"conversation_user_id_updated_at_id")

		const end = "salvage = ''"
		finished := background.wait(t, end)
		check("end of a reply", finished, end, !postgres, "autoindex_messages_1", "messages_pkey",
			"message_one_streaming")
		check("next of a queue", finished, end, !postgres, "message_unfinished")
		forgotten := background.wait(t, "NOT EXISTS")
		check("forgotten replies", forgotten, "NOT EXISTS", false, partial...)
		swept := background.wait(t, "owner IS NULL")
		check("sweep", swept, "owner IS NULL", false, "message_running_by_owner", "message_one_streaming",
			"message_unfinished")
		owned := store.Statement{Query: s.OwnQuery(), Args: []any{"rep_x"}}
		check("replies of an owner", []store.Statement{owned}, "m.owner", true, "message_running_by_owner",
			"message_one_streaming")

		days := store.Statement{Query: "SELECT calls FROM usage_days WHERE day = '2026-01-02'"}
		check("usage of all users on a day", []store.Statement{days}, "usage_days", true, "usageday_day")

		// What foreign keys look up on deletion.
		for column, index := range map[string]string{"parent_id": "message_parent_id", "conversation_id": "message_"} {
			lookup := store.Statement{Query: fmt.Sprintf("SELECT id FROM messages WHERE %s = 'x'", column)}
			check("cascade by "+column, []store.Statement{lookup}, column, true, index)
		}
		for table, index := range map[string]string{"conversations": "conversation_user_id", "sends": "send_user_id",
			"auth_sessions": "authsession_user_id", "summaries": "summary_user_id"} {
			lookup := store.Statement{Query: fmt.Sprintf("SELECT id FROM %s WHERE user_id = 'x'", table)}
			check("cascade of a user in "+table, []store.Statement{lookup}, table, true, index)
		}
	})
}

// idle runs no replies.
type idle struct{}

func (idle) Follow(context.Context, pid.ID, *ent.Message) (*reply.Watcher, error) {
	return nil, &ent.NotFoundError{}
}

func (idle) Overlay(...*ent.Message) {}

func ptr[T any](v T) *T { return &v }
