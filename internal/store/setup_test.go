package store_test

import (
	"context"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
	"parley/internal/store"
	"parley/internal/viewer"
	"parley/internal/waittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// person is a user and the context in which that user asks.
type person struct {
	id  pid.ID
	ctx context.Context
}

func makeUser(t testing.TB, s *store.Store, email string) person {
	t.Helper()
	u, err := s.Client().User.Create().SetEmail(email).Save(viewer.AsAdmin(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return person{u.ID, viewer.AsUser(t.Context(), u.ID)}
}

// deadline bounds waits that should take no time at all.
func deadline(t testing.TB, parent context.Context) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(parent, waittest.Limit)
	t.Cleanup(cancel)
	return ctx
}

// line is a conversation being filled with messages.
type line struct {
	t     testing.TB
	s     *store.Store
	owner person
	id    pid.ID
	// next is the index of the next message, last the id of the one before.
	next int
	last *pid.ID
}

func makeLine(t testing.TB, s *store.Store, owner person) *line {
	t.Helper()
	c, err := s.Client().Conversation.Create().SetUserID(owner.id).SetHeadID(pid.New(pid.Message)).Save(owner.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &line{t: t, s: s, owner: owner, id: c.ID}
}

// builder starts the next message of the line.
func (l *line) builder(role message.Role, content string) *ent.MessageCreate {
	c := l.s.Client().Message.Create().
		SetID(pid.New(pid.Message)).
		SetConversationID(l.id).SetUserID(l.owner.id).SetIndex(l.next).
		SetRole(role).SetContent(content).SetNillableParentID(l.last)
	id, _ := c.Mutation().ID()
	l.next++
	l.last = &id
	return c
}

// add appends a message with a status.
func (l *line) add(role message.Role, status message.Status, content string) *ent.Message {
	l.t.Helper()
	m, err := l.builder(role, content).SetStatus(status).Save(l.owner.ctx)
	if err != nil {
		l.t.Fatal(err)
	}
	return m
}

// fill appends n messages in turn, in batches.
func (l *line) fill(n int) {
	l.t.Helper()
	for n > 0 {
		batch := make([]*ent.MessageCreate, 0, 200)
		for ; n > 0 && len(batch) < cap(batch); n-- {
			role := message.RoleUSER
			switch {
			case l.next == 0:
				role = message.RoleSYSTEM
			case l.next%2 == 0:
				role = message.RoleASSISTANT
			}
			batch = append(batch, l.builder(role, fmt.Sprintf("message %d", l.next)))
		}
		if err := l.s.Client().Message.CreateBulk(batch...).Exec(l.owner.ctx); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *line) count(ctx context.Context) int {
	l.t.Helper()
	n, err := l.s.Client().Message.Query().Where(message.ConversationID(l.id)).Count(ctx)
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}
