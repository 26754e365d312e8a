package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"parley/ent"
	"parley/ent/usageday"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/usage"
)

// usageOf reads the rows of a user, in the order of their keys.
func usageOf(t *testing.T, s *store.Store, u person) []*ent.UsageDay {
	t.Helper()
	rows, err := s.Client().UsageDay.Query().
		Where(usageday.UserID(u.id)).
		Order(usageday.ByDay(), usageday.ByModel(), usageday.ByPurpose()).
		All(u.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func wantUsage(t *testing.T, s *store.Store, u person, want ...*ent.UsageDay) {
	t.Helper()
	got := usageOf(t, s, u)
	ids := make(map[pid.ID]bool)
	for _, row := range got {
		if !strings.HasPrefix(string(row.ID), "uda_") || ids[row.ID] {
			t.Errorf("got the id %q, want one of its own", row.ID)
		}
		ids[row.ID] = true
	}
	for _, row := range want {
		row.UserID = u.id
	}
	diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(ent.UsageDay{}),
		cmpopts.IgnoreFields(ent.UsageDay{}, "ID"))
	if diff != "" {
		t.Errorf("usage of %s (-want +got):\n%s", u.id, diff)
	}
}

// addUsage adds calls in one transaction.
func addUsage(ctx context.Context, s *store.Store, calls ...usage.Call) error {
	return s.InTx(ctx, func(tx *ent.Tx) error {
		for _, c := range calls {
			if err := s.AddUsage(ctx, tx, c); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestAddUsage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a, b := makeUser(t, s, "a@example.com"), makeUser(t, s, "b@example.com")
		call := usage.Call{UserID: a.id, Day: "2026-01-02", Model: "mödel '\"$1?", Purpose: usageday.PurposeREPLY,
			PromptTokens: 7, CompletionTokens: 5, CachedTokens: 3, ReasoningTokens: 2}
		edited := func(edit func(c *usage.Call)) usage.Call {
			c := call
			edit(&c)
			return c
		}
		err := addUsage(a.ctx, s, call,
			edited(func(c *usage.Call) { c.PromptTokens, c.CachedTokens, c.Estimated = 1<<40, 0, true }),
			edited(func(c *usage.Call) { c.Day = "2026-01-03" }),
			edited(func(c *usage.Call) { c.Model = "" }),
			edited(func(c *usage.Call) { c.Purpose = usageday.PurposeTITLE }),
			edited(func(c *usage.Call) { c.UserID = b.id }),
			call)
		if err != nil {
			t.Fatal(err)
		}
		row := func(day, model string, purpose usageday.Purpose) *ent.UsageDay {
			return &ent.UsageDay{Day: day, Model: model, Purpose: purpose, Calls: 1, PromptTokens: 7,
				CompletionTokens: 5, CachedTokens: 3, ReasoningTokens: 2}
		}
		sum := row(call.Day, call.Model, call.Purpose)
		sum.Calls, sum.PromptTokens, sum.CompletionTokens, sum.CachedTokens = 3, 1<<40+14, 15, 6
		sum.ReasoningTokens, sum.EstimatedCalls = 6, 1
		wantUsage(t, s, a, row(call.Day, "", call.Purpose), sum, row(call.Day, call.Model, usageday.PurposeTITLE),
			row("2026-01-03", call.Model, call.Purpose))
		wantUsage(t, s, b, row(call.Day, call.Model, call.Purpose))

		used := func(u person, day string) (n int) {
			t.Helper()
			err := s.InTx(u.ctx, func(tx *ent.Tx) (err error) {
				state, err := s.BeforeSend(u.ctx, tx, chat.SendQuery{UserID: u.id, Day: day})
				n = state.Tokens
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if got, want := used(a, call.Day), 1<<40+14+15+12+12; got != want {
			t.Errorf("got %d tokens of a day, want %d: all models and purposes", got, want)
		}
		if got := used(b, call.Day); got != 12 {
			t.Errorf("got %d tokens of another user, want 12", got)
		}
		if got := used(a, "2026-01-04"); got != 0 {
			t.Errorf("got %d tokens of a day without calls, want 0", got)
		}

		// What is rolled back was not counted.
		undone := errors.New("undone")
		err = s.InTx(a.ctx, func(tx *ent.Tx) error { return errors.Join(s.AddUsage(a.ctx, tx, call), undone) })
		if !errors.Is(err, undone) {
			t.Fatal(err)
		}
		if got := used(b, call.Day) + used(a, "2026-01-03"); got != 24 {
			t.Errorf("got %d tokens after a rollback, want 24 as before", got)
		}
	})
}

// Of calls that are added at the same time none is lost.
func TestAddUsageAtTheSameTime(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		call := usage.Call{UserID: u.id, Day: "2026-01-02", Model: "m", Purpose: usageday.PurposeREPLY, PromptTokens: 1,
			CompletionTokens: 2}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 10 {
					if err := addUsage(u.ctx, s, call); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		wantUsage(t, s, u, &ent.UsageDay{Day: call.Day, Model: "m", Purpose: call.Purpose, Calls: 80, PromptTokens: 80,
			CompletionTokens: 160})
	})
}

func TestOneUsageRow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		put := func(day, model, currency string, purpose usageday.Purpose) error {
			return s.Client().UsageDay.Create().SetUserID(u.id).SetDay(day).SetModel(model).SetCurrency(currency).
				SetPurpose(purpose).Exec(u.ctx)
		}
		for _, err := range []error{
			put("2026-01-02", "m", "", usageday.PurposeREPLY), put("2026-01-03", "m", "", usageday.PurposeREPLY),
			put("2026-01-02", "n", "", usageday.PurposeREPLY), put("2026-01-02", "m", "EUR", usageday.PurposeREPLY),
			put("2026-01-02", "m", "", usageday.PurposeTITLE),
		} {
			if err != nil {
				t.Errorf("a row that differs: %v", err)
			}
		}
		wantConstraint(t, "a second row of a key", put("2026-01-02", "m", "EUR", usageday.PurposeREPLY))
	})
}

// before returns the migrations up to, and without, the one that ends in name.
func before(t *testing.T, folder, name string) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	list, err := fs.Glob(store.EmbeddedMigration, folder+"/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range list {
		if strings.HasSuffix(file, name) {
			return files
		}
		text, err := fs.ReadFile(store.EmbeddedMigration, file)
		if err != nil {
			t.Fatal(err)
		}
		files[file] = &fstest.MapFile{Data: text}
	}
	t.Fatalf("no migration ends in %s", name)
	return nil
}

// An upgrade gives nobody a second quota: what the version before had used, by its
// messages and by its sums of deleted ones, is in the rows.
func TestUsageOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, folder string, cfg store.Config) {
		old := before(t, folder, "_usage_days.sql")
		if _, err := store.MigrateFrom(t.Context(), cfg, old); err != nil {
			t.Fatal(err)
		}
		s := openStore(t, cfg)
		a, b, idle := makeUser(t, s, "a@example.com"), makeUser(t, s, "b@example.com"), makeUser(t, s, "c@example.com")
		day := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
		mine, theirs := makeOldLine(t, s, a), makeOldLine(t, s, b)
		reply := func(l *oldLine, at time.Time, prompt, completion int, more oldRow) {
			row := oldRow{"role": "ASSISTANT", "status": "STOPPED", "created_at": at, "prompt_tokens": prompt,
				"completion_tokens": completion}
			maps.Copy(row, more)
			l.add(row)
		}
		reply(mine, day, 10, 1, oldRow{"model": "m", "cached_tokens": 4, "reasoning_tokens": 1})
		reply(mine, day.Add(24*time.Hour-time.Microsecond), 1<<40, 2,
			oldRow{"model": "m", "usage_estimated": true, "active": false})
		reply(mine, day.Add(time.Hour), 5, 5, oldRow{"model": "n"})
		reply(mine, day.Add(24*time.Hour), 3, 3, oldRow{"model": "m"})
		reply(theirs, day.In(oddZone), 7, 7, nil)
		mine.add(oldRow{"role": "USER", "content": "a question uses nothing by itself", "created_at": day})
		mine.add(oldRow{"role": "ASSISTANT", "status": "STREAMING", "content": "running, counted at its end",
			"created_at": day})
		spend(t, s, a, day, 100)
		spend(t, s, b, day, 1000)
		spend(t, s, idle, day, 0)

		if n, err := store.Migrate(t.Context(), cfg); err != nil || n == 0 {
			t.Fatalf("got %d migrations, %v, want some", n, err)
		}
		sum := func(day, model string, calls, prompt, completion int) *ent.UsageDay {
			return &ent.UsageDay{Day: day, Model: model, Purpose: usageday.PurposeREPLY, Calls: calls,
				PromptTokens: prompt, CompletionTokens: completion}
		}
		first := sum("2026-01-02", "m", 2, 1<<40+10, 3)
		first.CachedTokens, first.ReasoningTokens, first.EstimatedCalls = 4, 1, 1
		wantUsage(t, s, a, sum("2026-01-02", "", 0, 100, 0), first, sum("2026-01-02", "n", 1, 5, 5),
			sum("2026-01-03", "m", 1, 3, 3))
		wantUsage(t, s, b, sum("2026-01-02", "", 1, 1007, 7))
		wantUsage(t, s, idle)
	})
}

// oldRow is a row of a version before, whose tables have not the columns that Ent knows.
type oldRow map[string]any

func (row oldRow) insert(t *testing.T, s *store.Store, table string) {
	t.Helper()
	var columns, places []string
	var values []any
	for _, column := range slices.Sorted(maps.Keys(row)) {
		place := "?"
		if s.Dialect() == "postgres" {
			place = fmt.Sprintf("$%d", len(places)+1)
		}
		columns, places = append(columns, `"`+column+`"`), append(places, place)
		values = append(values, row[column])
	}
	write, _ := s.Pools()
	query := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, strings.Join(columns, ", "),
		strings.Join(places, ", "))
	if _, err := write.ExecContext(t.Context(), query, values...); err != nil {
		t.Fatal(err)
	}
}

// oldLine is a line of a version before.
type oldLine struct {
	t     *testing.T
	s     *store.Store
	owner person
	id    pid.ID
	next  int
}

func makeOldLine(t *testing.T, s *store.Store, owner person) *oldLine {
	t.Helper()
	l := &oldLine{t: t, s: s, owner: owner, id: pid.New(pid.Conversation)}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	oldRow{"id": string(l.id), "user_id": string(owner.id), "head_id": "x", "last_message_at": at, "created_at": at,
		"updated_at": at}.insert(t, s, "conversations")
	return l
}

func (l *oldLine) add(row oldRow) {
	l.t.Helper()
	row["id"], row["user_id"] = string(pid.New(pid.Message)), string(l.owner.id)
	row["conversation_id"], row["index"] = string(l.id), l.next
	l.next++
	row.insert(l.t, l.s, "messages")
}

// spend writes what the version before kept of deleted replies.
func spend(t *testing.T, s *store.Store, u person, day time.Time, tokens int) {
	t.Helper()
	write, _ := s.Pools()
	query := "UPDATE users SET spent_on = $1, spent_tokens = $2 WHERE id = $3"
	if s.Dialect() != "postgres" {
		query = "UPDATE users SET spent_on = ?, spent_tokens = ? WHERE id = ?"
	}
	if _, err := write.ExecContext(t.Context(), query, day, tokens, string(u.id)); err != nil {
		t.Fatal(err)
	}
}
