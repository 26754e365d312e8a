package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/privacy"
	"parley/ent/usageday"
	"parley/internal/pid"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

// grant is what a viewer may do: how many of the two rows, one of A and one of B,
// it reaches; refused when the policy says no.
type grant int

const refused grant = -1

// grants of query, create for A, create for B, update and delete, in this order.
type grants [5]grant

var nothing = grants{refused, refused, refused, refused, refused}

// policies is the table of who may do what. "A" stands for a user who owns one of
// the two rows, B being the other.
var policies = map[string]map[string]grants{
	"User": {
		"none": nothing, "A": {1, refused, refused, 1, refused}, "B": {1, refused, refused, 1, refused},
		"sign-in": {2, 1, 1, 2, refused}, "sweep": nothing, "admin": {2, 1, 1, 2, 2},
	},
	"AuthSession": {
		"none": nothing, "A": {1, refused, refused, 1, refused}, "B": {1, refused, refused, 1, refused},
		"sign-in": {2, 1, 1, 2, 2}, "sweep": {refused, refused, refused, refused, 2},
		"admin": {2, refused, refused, 2, refused},
	},
	"AuthThrottle": {
		"none": nothing, "A": nothing, "B": nothing,
		"sign-in": {2, 1, 1, 2, 2}, "sweep": {refused, refused, refused, refused, 2}, "admin": nothing,
	},
	"Conversation": {
		"none": nothing, "A": {1, 1, refused, 1, 1}, "B": {1, refused, 1, 1, 1},
		"sign-in": nothing, "sweep": nothing, "admin": nothing,
	},
	"Message": {
		"none": nothing, "A": {1, 1, refused, 1, 1}, "B": {1, refused, 1, 1, 1},
		"sign-in": nothing, "sweep": {2, refused, refused, 2, refused}, "admin": nothing,
	},
	"ConversationDeletion": {
		"none": nothing, "A": {1, 1, refused, refused, refused}, "B": {1, refused, 1, refused, refused},
		"sign-in": nothing, "sweep": {2, refused, refused, refused, 2}, "admin": nothing,
	},
	"Send": {
		"none": nothing, "A": {1, 1, refused, refused, refused}, "B": {1, refused, 1, refused, refused},
		"sign-in": nothing, "sweep": {2, refused, refused, refused, 2}, "admin": nothing,
	},
	"UsageDay": {
		"none": nothing, "A": {1, 1, refused, refused, refused}, "B": {1, refused, 1, refused, refused},
		"sign-in": nothing, "sweep": nothing, "admin": nothing,
	},
	"Summary": {
		"none": nothing, "A": {1, 1, refused, refused, 1}, "B": {1, refused, 1, refused, 1},
		"sign-in": nothing, "sweep": nothing, "admin": nothing,
	},
	"Replica": {
		"none": nothing, "A": nothing, "B": nothing, "sign-in": nothing, "sweep": {2, 1, 1, 2, 2}, "admin": nothing,
	},
}

// operations does each thing to the rows of one entity.
type operations struct {
	query  func(ctx context.Context, tx *ent.Tx) (int, error)
	create func(ctx context.Context, tx *ent.Tx, owner int) error
	update func(ctx context.Context, tx *ent.Tx) (int, error)
	delete func(ctx context.Context, tx *ent.Tx) (int, error)
}

// pair is the fixture: two users with a conversation each.
type pair struct {
	users, conversations [2]pid.ID
	// messages are those that no summary reaches to.
	messages [2]pid.ID
}

// message makes one that is hidden.
func (p *pair) message(ctx context.Context, tx *ent.Tx, owner int) error {
	m, err := tx.Message.Create().SetUserID(p.users[owner]).SetConversationID(p.conversations[owner]).
		SetIndex(0).SetActive(false).SetRole(message.RoleUSER).Save(ctx)
	if err == nil {
		p.messages[owner] = m.ID
	}
	return err
}

// summary makes one, of a message of its own if there is none without.
func (p *pair) summary(ctx context.Context, tx *ent.Tx, owner int) error {
	if p.messages[owner] == "" {
		if err := p.message(ctx, tx, owner); err != nil {
			return err
		}
	}
	err := tx.Summary.Create().SetUserID(p.users[owner]).SetConversationID(p.conversations[owner]).
		SetMessageID(p.messages[owner]).SetContent("x").SetModel("m").Exec(ctx)
	p.messages[owner] = ""
	return err
}

func (p *pair) operations(now time.Time) map[string]operations {
	none := message.ErrorCodeIsNil() // Any predicate: an update of all rows.
	return map[string]operations{
		"User": {
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.User.Query().Count(ctx) },
			func(ctx context.Context, tx *ent.Tx, owner int) error {
				u, err := tx.User.Create().Save(ctx)
				if err == nil {
					p.users[owner] = u.ID
				}
				return err
			},
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.User.Update().SetName("x").Save(ctx) },
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.User.Delete().Exec(ctx) },
		},
		"AuthSession": {
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.AuthSession.Query().Count(ctx) },
			func(ctx context.Context, tx *ent.Tx, owner int) error {
				return tx.AuthSession.Create().SetUserID(p.users[owner]).SetTokenHash("h").SetKeyID("k").
					SetRotatedAt(now).SetExpiresAt(now).SetIdleExpiresAt(now).Exec(ctx)
			},
			func(ctx context.Context, tx *ent.Tx) (int, error) {
				return tx.AuthSession.Update().SetRevokedAt(now).Save(ctx)
			},
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.AuthSession.Delete().Exec(ctx) },
		},
		"AuthThrottle": {
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.AuthThrottle.Query().Count(ctx) },
			func(ctx context.Context, tx *ent.Tx, _ int) error {
				return tx.AuthThrottle.Create().SetID(string(pid.New(pid.Send))).SetUpdatedAt(now).Exec(ctx)
			},
			func(ctx context.Context, tx *ent.Tx) (int, error) {
				return tx.AuthThrottle.Update().SetLevel(2).Save(ctx)
			},
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.AuthThrottle.Delete().Exec(ctx) },
		},
		"Conversation": {
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.Conversation.Query().Count(ctx) },
			func(ctx context.Context, tx *ent.Tx, owner int) error {
				c, err := tx.Conversation.Create().SetUserID(p.users[owner]).SetHeadID("x").Save(ctx)
				if err == nil {
					p.conversations[owner] = c.ID
				}
				return err
			},
			func(ctx context.Context, tx *ent.Tx) (int, error) {
				return tx.Conversation.Update().SetPinned(true).Save(ctx)
			},
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.Conversation.Delete().Exec(ctx) },
		},
		"Message": {
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.Message.Query().Count(ctx) },
			p.message,
			func(ctx context.Context, tx *ent.Tx) (int, error) {
				return tx.Message.Update().Where(none).SetContent("x").Save(ctx)
			},
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.Message.Delete().Exec(ctx) },
		},
		"ConversationDeletion": {
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.ConversationDeletion.Query().Count(ctx) },
			func(ctx context.Context, tx *ent.Tx, owner int) error {
				return tx.ConversationDeletion.Create().SetUserID(p.users[owner]).SetConversationID("c").
					SetDeletedAt(now).Exec(ctx)
			},
			func(ctx context.Context, tx *ent.Tx) (int, error) {
				return tx.ConversationDeletion.Update().Save(ctx)
			},
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.ConversationDeletion.Delete().Exec(ctx) },
		},
		"Send": {
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.Send.Query().Count(ctx) },
			func(ctx context.Context, tx *ent.Tx, owner int) error {
				return tx.Send.Create().SetUserID(p.users[owner]).SetPayloadHash("h").SetConversationID("c").
					SetUserMessageID("u").SetReplyID("r").Exec(ctx)
			},
			func(ctx context.Context, tx *ent.Tx) (int, error) {
				return tx.Send.Update().Save(ctx)
			},
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.Send.Delete().Exec(ctx) },
		},
		"UsageDay": {
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.UsageDay.Query().Count(ctx) },
			func(ctx context.Context, tx *ent.Tx, owner int) error {
				return tx.UsageDay.Create().SetUserID(p.users[owner]).SetDay("2026-01-02").
					SetModel(string(pid.New(pid.Send))).SetPurpose(usageday.PurposeREPLY).Exec(ctx)
			},
			func(ctx context.Context, tx *ent.Tx) (int, error) {
				return tx.UsageDay.Update().SetCalls(1).Save(ctx)
			},
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.UsageDay.Delete().Exec(ctx) },
		},
		"Summary": {
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.Summary.Query().Count(ctx) },
			p.summary,
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.Summary.Update().Save(ctx) },
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.Summary.Delete().Exec(ctx) },
		},
		"Replica": {
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.Replica.Query().Count(ctx) },
			func(ctx context.Context, tx *ent.Tx, _ int) error {
				return tx.Replica.Create().SetLeaseExpiresAt(now).Exec(ctx)
			},
			func(ctx context.Context, tx *ent.Tx) (int, error) {
				return tx.Replica.Update().SetAddress("x").Save(ctx)
			},
			func(ctx context.Context, tx *ent.Tx) (int, error) { return tx.Replica.Delete().Exec(ctx) },
		},
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	now := time.Now()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		p := &pair{}
		ops := p.operations(now)
		known := make([]string, 0, len(policies))
		for name := range policies {
			known = append(known, name)
		}
		slices.Sort(known)
		if diff := cmp.Diff(entityNames(), known); diff != "" {
			t.Fatalf("entities without a line in the table of policies (-client +table):\n%s", diff)
		}
		// Two rows of each: one of A, one of B.
		err := s.InTx(t.Context(), func(tx *ent.Tx) error {
			for _, name := range []string{"User", "AuthSession", "AuthThrottle", "Conversation", "Message",
				"ConversationDeletion", "Send", "UsageDay", "Summary", "Replica"} {
				for owner := range 2 {
					ctx := entities[name].ctx(t.Context(), p.users[owner])
					if err := ops[name].create(ctx, tx, owner); err != nil {
						return fmt.Errorf("%s: %w", name, err)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		fixture := *p
		for _, v := range []struct {
			name string
			ctx  context.Context
		}{
			{"none", t.Context()},
			{"A", viewer.AsUser(t.Context(), p.users[0])},
			{"B", viewer.AsUser(t.Context(), p.users[1])},
			{"sign-in", viewer.AsSignIn(t.Context())},
			{"sweep", viewer.AsSweep(t.Context())},
			{"admin", viewer.AsAdmin(t.Context())},
		} {
			for name, o := range ops {
				*p = fixture
				want, ok := policies[name][v.name]
				if !ok {
					t.Errorf("%s has no line for viewer %s", name, v.name)
				}
				var got grants
				for i, try := range []func(tx *ent.Tx) (int, error){
					func(tx *ent.Tx) (int, error) { return o.query(v.ctx, tx) },
					func(tx *ent.Tx) (int, error) { return 1, o.create(v.ctx, tx, 0) },
					func(tx *ent.Tx) (int, error) { return 1, o.create(v.ctx, tx, 1) },
					func(tx *ent.Tx) (int, error) { return o.update(v.ctx, tx) },
					func(tx *ent.Tx) (int, error) { return o.delete(v.ctx, tx) },
				} {
					got[i] = outcome(t, s, try)
				}
				if got != want {
					t.Errorf("%s as %s: got %v, want %v (query, create for A, for B, update, delete; -1 is refused)",
						name, v.name, got, want)
				}
				*p = fixture
			}
		}
	})
}

var errUndo = errors.New("undo")

// outcome does something in a transaction that is undone.
func outcome(t *testing.T, s *store.Store, try func(tx *ent.Tx) (int, error)) grant {
	t.Helper()
	var got grant
	err := s.InTx(t.Context(), func(tx *ent.Tx) error {
		n, err := try(tx)
		switch {
		case errors.Is(err, privacy.Deny):
			got = refused
		case err != nil:
			return err
		default:
			got = grant(n)
		}
		return errUndo
	})
	if !errors.Is(err, errUndo) {
		t.Errorf("got error %v, want the policy's or none", err)
	}
	return got
}

func TestPolicyBulkAndOne(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		a, b := makeUser(t, s, "a@example.com"), makeUser(t, s, "b@example.com")
		l := makeLine(t, s, a)
		m := l.add(message.RoleUSER, message.StatusCOMPLETED, "mine")
		c := s.Client()
		err := c.Send.CreateBulk(
			c.Send.Create().SetUserID(b.id).SetPayloadHash("h").SetConversationID("c").SetUserMessageID("u").
				SetReplyID("r"),
			c.Send.Create().SetUserID(a.id).SetPayloadHash("h").SetConversationID("c").SetUserMessageID("u").
				SetReplyID("r"),
		).Exec(b.ctx)
		if !errors.Is(err, privacy.Deny) {
			t.Errorf("bulk with a row for somebody else: got %v, want privacy.Deny", err)
		}
		if n := c.Send.Query().CountX(a.ctx) + c.Send.Query().CountX(b.ctx); n != 0 {
			t.Errorf("got %d rows of a refused bulk, want none", n)
		}
		if _, err := c.Message.UpdateOneID(m.ID).SetContent("stolen").Save(b.ctx); !ent.IsNotFound(err) {
			t.Errorf("update of another user's row: got %v, want not found", err)
		}
		if err := c.Message.DeleteOneID(m.ID).Exec(b.ctx); !ent.IsNotFound(err) {
			t.Errorf("deletion of another user's row: got %v, want not found", err)
		}
		if _, err := c.Message.Get(b.ctx, m.ID); !ent.IsNotFound(err) {
			t.Errorf("read of another user's row: got %v, want not found", err)
		}
		if got := c.Message.GetX(a.ctx, m.ID); got.Content != "mine" {
			t.Errorf("got content %q, want what its owner wrote", got.Content)
		}
		// Edges are filtered too.
		if n := c.Conversation.Query().Where().WithMessages().AllX(a.ctx); len(n) != 1 ||
			len(n[0].Edges.Messages) != 1 {
			t.Errorf("got %v, want the owner's conversation with its message", n)
		}
	})
}
