package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
	"parley/internal/prompt"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

const (
	system    = message.RoleSYSTEM
	asked     = message.RoleUSER
	answered  = message.RoleASSISTANT
	completed = message.StatusCOMPLETED
)

// wantPrompt compares the prompt that is made of a line.
func wantPrompt(t *testing.T, s *store.Store, u person, conversation pid.ID, before int, want ...said) {
	t.Helper()
	line, err := s.Line(u.ctx, u.id, conversation, before, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	var got []said
	for _, m := range prompt.Of(line) {
		got = append(got, said{m.Role, m.Text()})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("prompt before %d (-want +got):\n%s", before, diff)
	}
}

// said is a message of a prompt as a server gets it.
type said struct {
	Role prompt.Role
	Text string
}

func TestPrompt(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u, other := makeUser(t, s, "a@example.com"), makeUser(t, s, "b@example.com")
		l := makeLine(t, s, u)
		l.add(system, completed, "Be brief. ä𝄞")
		l.add(asked, completed, "one")
		l.add(answered, completed, "1")
		l.add(asked, completed, "two")
		l.add(answered, message.StatusFAILED, "half of t")
		l.add(asked, message.StatusSTOPPED, "cancelled")
		l.add(answered, message.StatusSTOPPED, "")
		l.add(asked, completed, "three")
		l.add(answered, message.StatusSTOPPED, "thr")
		l.add(asked, completed, "four")
		l.add(answered, message.StatusINTERRUPTED, "fou")
		l.add(asked, completed, "five")
		l.add(answered, completed, "") // A model that said nothing.
		l.add(asked, completed, "six")
		l.add(answered, message.StatusSTREAMING, "running")
		l.add(asked, message.StatusQUEUED, "queued")
		l.add(answered, message.StatusQUEUED, "")
		// Siblings that are not on the visible line.
		for _, index := range []int{1, 2, 3} {
			s.Client().Message.Create().SetConversationID(l.id).SetUserID(u.id).SetIndex(index).
				SetRole(asked).SetActive(false).SetContent("hidden").ExecX(u.ctx)
		}

		all := []said{
			{prompt.System, "Be brief. ä𝄞"},
			{prompt.User, "one"}, {prompt.Assistant, "1"},
			{prompt.User, "two"}, {prompt.Assistant, "half of t"},
			{prompt.User, "three"}, {prompt.Assistant, "thr"},
			{prompt.User, "four"}, {prompt.Assistant, "fou"},
			{prompt.User, "five\n\nsix"},
		}
		wantPrompt(t, s, u, l.id, 14, all...)
		wantPrompt(t, s, u, l.id, 1000, all...)
		wantPrompt(t, s, u, l.id, 2, all[:2]...)
		wantPrompt(t, s, u, l.id, 1, all[:1]...)
		wantPrompt(t, s, u, l.id, 0)
		wantPrompt(t, s, u, pid.New(pid.Conversation), 100)
		wantPrompt(t, s, other, l.id, 100)
		// The owner in the statement holds whoever the viewer is.
		if got, err := s.Line(u.ctx, other.id, l.id, 100, 1<<30); err != nil || len(got) != 0 {
			t.Errorf("got %v, %v for another user, want nothing", got, err)
		}

		empty := makeLine(t, s, u)
		empty.add(system, completed, "")
		empty.add(asked, completed, "hello")
		wantPrompt(t, s, u, empty.id, 2, said{prompt.User, "hello"})
	})
}

// Only what is sent counts against the bound, and is kept.
func TestLineIsBounded(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		l := makeLine(t, s, u)
		l.add(system, completed, "Be brief.")
		l.add(asked, completed, "äöü")
		l.builder(answered, strings.Repeat("x", 1000)).SetStatus(message.StatusFAILED).
			SetErrorCode(string(reply.CodeContentFilter)).SaveX(u.ctx)
		l.add(asked, message.StatusSTOPPED, strings.Repeat("x", 1000))
		l.add(asked, completed, "two")
		l.add(answered, message.StatusSTOPPED, "2")
		const size = 9 + 6 + 3 + 1
		line, err := s.Line(u.ctx, u.id, l.id, 6, size)
		if err != nil || len(line) != 6 {
			t.Fatalf("got %d rows, %v, want all 6, which have as many bytes as they may", len(line), err)
		}
		for _, row := range line {
			if len(row.Content) > 10 {
				t.Errorf("a text that is not sent has been kept: %.20q", row.Content)
			}
		}
		if line, err := s.Line(u.ctx, u.id, l.id, 6, size-1); !errors.Is(err, reply.ErrLineTooLong) || line != nil {
			t.Errorf("got %d rows, %v, want none and ErrLineTooLong", len(line), err)
		}
	})
}

// A line costs two allocations a row, those of the driver.
func TestLineAllocations(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *store.Store{
		"sqlite": storetest.SQLite, "postgres": storetest.Postgres,
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			u := makeUser(t, s, "a@example.com")
			l := makeLine(t, s, u)
			const rows = 2000
			l.fill(rows)
			allocations := testing.AllocsPerRun(5, func() {
				if line, err := s.Line(u.ctx, u.id, l.id, rows, 1<<30); err != nil || len(line) != rows {
					t.Fatalf("got %d rows, %v, want %d", len(line), err, rows)
				}
			})
			if allocations > 2*rows+200 {
				t.Errorf("%v allocations for %d rows, want two for each", allocations, rows)
			}
		})
	}
}

func TestLineOrder(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u := makeUser(t, s, "a@example.com")
		l := makeLine(t, s, u)
		// Written backwards; 10 is behind 9, as numbers are.
		for index := 24; index >= 0; index-- {
			role := asked
			if index%2 == 0 {
				role = answered
			}
			s.Client().Message.Create().SetConversationID(l.id).SetUserID(u.id).SetIndex(index).
				SetRole(role).SetContent(strings.Repeat("x", index+1)).ExecX(u.ctx)
		}
		got, err := s.Line(u.ctx, u.id, l.id, 24, 1<<30)
		if err != nil || len(got) != 24 {
			t.Fatalf("got %d rows, %v, want 24", len(got), err)
		}
		for i, m := range got {
			if len(m.Content) != i+1 {
				t.Errorf("place %d: got the message with index %d", i, len(m.Content)-1)
			}
		}
	})
}

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		u, other := makeUser(t, s, "a@example.com"), makeUser(t, s, "b@example.com")
		mine, theirs := pid.New(pid.Replica), pid.New(pid.Replica)
		running := func(u person, owner pid.ID, status message.Status) *ent.Message {
			l := makeLine(t, s, u)
			return l.builder(answered, "old").SetStatus(status).SetOwner(owner).SetAttempt(2).SetReasoning("why").
				SaveX(u.ctx)
		}
		point := func(m *ent.Message) reply.Checkpoint {
			return reply.Checkpoint{MessageID: m.ID, UserID: m.UserID, Attempt: 2,
				Texts: reply.Texts{reply.Content: "new ä𝄞", reply.Reasoning: "because"}}
		}
		good, alsoGood := running(u, mine, message.StatusSTREAMING), running(other, mine, message.StatusSTREAMING)
		earlier, foreign := running(u, mine, message.StatusSTREAMING), running(u, theirs, message.StatusSTREAMING)
		final, wrongUser := running(u, mine, message.StatusSTOPPED), running(u, mine, message.StatusSTREAMING)
		later := running(u, mine, message.StatusSTREAMING)
		due := []reply.Checkpoint{
			point(good), point(earlier), point(foreign), point(final), point(wrongUser), point(later), point(alsoGood),
			{MessageID: pid.New(pid.Message), UserID: u.id, Attempt: 2},
		}
		due[1].Attempt, due[5].Attempt, due[4].UserID = 1, 3, other.id
		lost, err := s.Checkpoint(u.ctx, mine, due)
		if err != nil {
			t.Fatal(err)
		}
		want := []pid.ID{earlier.ID, foreign.ID, final.ID, wrongUser.ID, later.ID, due[7].MessageID}
		if diff := cmp.Diff(want, lost); diff != "" {
			t.Errorf("lost replies (-want +got):\n%s", diff)
		}
		for _, m := range []*ent.Message{good, alsoGood, earlier, foreign, final, wrongUser, later} {
			content, reasoning := "old", "why"
			if m == good || m == alsoGood {
				content, reasoning = "new ä𝄞", "because"
			}
			got := s.Client().Message.GetX(viewer.AsUser(t.Context(), m.UserID), m.ID)
			if got.Content != content || got.Reasoning != reasoning || got.Status != m.Status || got.Attempt != 2 {
				t.Errorf("got %q, %q, %s, attempt %d, want %q, %q, %s, attempt 2",
					got.Content, got.Reasoning, got.Status, got.Attempt, content, reasoning, m.Status)
			}
		}
		if lost, err := s.Checkpoint(u.ctx, mine, nil); err != nil || len(lost) != 0 {
			t.Errorf("nothing to do: got %v, %v", lost, err)
		}
	})
}

func TestCheckpointIsOneTransaction(t *testing.T) {
	t.Parallel()
	s := storetest.Postgres(t) // SQLite stores a NUL; see package upstream, which lets none through.
	u := makeUser(t, s, "a@example.com")
	owner := pid.New(pid.Replica)
	m := makeLine(t, s, u).builder(answered, "old").SetStatus(message.StatusSTREAMING).SetOwner(owner).SetAttempt(1).
		SaveX(u.ctx)
	lost, err := s.Checkpoint(u.ctx, owner, []reply.Checkpoint{
		{MessageID: m.ID, UserID: u.id, Attempt: 1, Texts: reply.Texts{reply.Content: "new"}},
		{MessageID: m.ID, UserID: u.id, Attempt: 1, Texts: reply.Texts{reply.Content: "nul \x00"}},
	})
	if err == nil {
		t.Errorf("got %v and no error for a text that Postgres refuses", lost)
	}
	if got := s.Client().Message.GetX(u.ctx, m.ID).Content; got != "old" {
		t.Errorf("got %q, want nothing of a failed transaction", got)
	}
}
