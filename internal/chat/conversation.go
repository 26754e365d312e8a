package chat

import (
	"context"
	"fmt"
	"time"

	"entgo.io/ent/dialect/sql"

	"parley/ent"
	"parley/ent/conversation"
	"parley/ent/message"
	"parley/ent/predicate"
	"parley/internal/fact"
	"parley/internal/failpoint"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/usage"
)

// NewConversation is the input of CreateConversation. Everything may be left out.
type NewConversation struct {
	Name         *string
	Model        *string
	SystemPrompt string
	Parameters   *reply.Parameters
	// Context is how the context is to be chosen; nil: as for the model, or the server.
	Context *ContextInput
}

// check refuses what is wrong, and leaves the name as it is stored.
func (in *NewConversation) check(maxSystem int) error {
	p := refusal.Problems{}
	in.Name = cleanName(p, "name", in.Name)
	checkModel(p, "model", in.Model)
	checkText(p, "systemPrompt", in.SystemPrompt, maxSystem)
	checkParameters(p, "parameters", in.Parameters)
	in.Context.check(p, "context")
	return p.Err()
}

// CreateConversation makes an empty conversation. Errors: BAD_USER_INPUT, also for
// a model that may not be used; MODEL_UNAVAILABLE, QUOTA_EXCEEDED, RATE_LIMITED.
func (s *Service) CreateConversation(
	ctx context.Context, userID pid.ID, in NewConversation,
) (*ent.Conversation, error) {
	if err := in.check(s.cfg.MaxSystemBytes); err != nil {
		return nil, err
	}
	if err := s.checkAllowed(ctx, in.Model); err != nil {
		return nil, err
	}
	var c *ent.Conversation
	if err := s.checkRoom(ctx, userID); err != nil {
		return nil, err
	}
	err := s.inTurn(ctx, userID, func(tx *ent.Tx) error {
		now, err := s.lockDay(ctx, tx, userID)
		if err != nil {
			return err
		}
		c, err = insertConversation(ctx, tx, userID, in, now)
		return err
	})
	if c == nil {
		return nil, err
	}
	c.Unwrap()
	err = s.publish(err, conversationFact(fact.ConversationCreated, userID, c.ID, c))
	if err != nil {
		return nil, err
	}
	return c, nil
}

// lockDay returns the time, and refuses a conversation more than the user may begin in a
// day. The user's lock makes that hold over all replicas.
func (s *Service) lockDay(ctx context.Context, tx *ent.Tx, userID pid.ID) (time.Time, error) {
	if s.cfg.ConversationsPerDay == 0 {
		return s.store.NowTx(ctx, tx)
	}
	if err := s.store.Lock(ctx, tx, string(userID)); err != nil {
		return time.Time{}, err
	}
	now, err := s.store.NowTx(ctx, tx)
	if err != nil {
		return time.Time{}, err
	}
	// Those that were made since have changed since, which is what there is an index for.
	day := usage.StartOfDay(now)
	made, err := tx.Conversation.Query().
		Where(conversation.UserID(userID), conversation.UpdatedAtGTE(day), conversation.CreatedAtGTE(day)).
		Count(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("count the conversations of a day: %w", err)
	}
	return now, s.checkConversations(made, now)
}

// checkAllowed refuses a model that may not be used. None, and the empty one, which
// stands for the default, may.
func (s *Service) checkAllowed(ctx context.Context, model *string) error {
	if model == nil || *model == "" {
		return nil
	}
	_, err := s.resolveModel(ctx, model)
	return err
}

// newConversation makes the rows of a conversation and its message 0, which nobody else
// knows yet. All times are the database's: lists are sorted by them, and replicas' clocks
// differ.
func newConversation(userID pid.ID, in NewConversation, now time.Time) (*ent.Conversation, *ent.Message) {
	root := &ent.Message{ID: pid.New(pid.Message), ConversationID: pid.New(pid.Conversation), UserID: userID,
		Active: true, Role: message.RoleSYSTEM, Content: in.SystemPrompt, Status: message.StatusCOMPLETED,
		CreatedAt: now}
	c := &ent.Conversation{ID: root.ConversationID, UserID: userID, NameSource: conversation.NameSourcePLACEHOLDER,
		HeadID: root.ID, LastMessageAt: now, CreatedAt: now, UpdatedAt: now}
	if in.Name != nil && *in.Name != "" {
		c.Name, c.NameSource = *in.Name, conversation.NameSourceUSER
	}
	if in.Model != nil && *in.Model != "" {
		c.Model = in.Model
	}
	if in.Parameters != nil {
		c.Parameters = in.Parameters.Encode()
	}
	if in.Context != nil {
		c.ContextSettings = in.Context.encode()
	}
	return c, root
}

// insertConversation inserts a conversation without messages but message 0.
func insertConversation(
	ctx context.Context, tx *ent.Tx, userID pid.ID, in NewConversation, now time.Time,
) (*ent.Conversation, error) {
	made, root := newConversation(userID, in, now)
	c, err := tx.Conversation.Create().
		SetID(made.ID).
		SetUserID(userID).
		SetName(made.Name).
		SetNameSource(made.NameSource).
		SetNillableModel(made.Model).
		SetParameters(made.Parameters).
		SetContextSettings(made.ContextSettings).
		SetHeadID(made.HeadID).
		SetLastMessageAt(now).
		SetCreatedAt(now).
		SetUpdatedAt(now).
		Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("insert conversation: %w", err)
	}
	err = tx.Message.Create().
		SetID(root.ID).
		SetConversationID(c.ID).
		SetUserID(userID).
		SetIndex(root.Index).
		SetRole(root.Role).
		SetContent(root.Content).
		SetCreatedAt(now).
		Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("insert message 0: %w", err)
	}
	return c, nil
}

// ConversationPatch is the input of UpdateConversation. A nil field stays as it
// is.
type ConversationPatch struct {
	// Name "" gives the conversation back its name from the first message.
	Name *string
	// Model "" gives it back the server's default.
	Model        *string
	SystemPrompt *string
	Parameters   *reply.Parameters
	// Context replaces how the context is chosen. The zero value: as for the model, or the
	// server.
	Context  *ContextInput
	Pinned   *bool
	Archived *bool
}

// check refuses what is wrong, and leaves the name as it is stored.
func (in *ConversationPatch) check(maxSystem int) error {
	p := refusal.Problems{}
	in.Name = cleanName(p, "name", in.Name)
	checkModel(p, "model", in.Model)
	if in.SystemPrompt != nil {
		checkText(p, "systemPrompt", *in.SystemPrompt, maxSystem)
	}
	checkParameters(p, "parameters", in.Parameters)
	in.Context.check(p, "context")
	return p.Err()
}

// UpdateConversation changes a conversation. A new system prompt holds from the
// next reply on. Errors: NOT_FOUND, BAD_USER_INPUT, MODEL_UNAVAILABLE.
func (s *Service) UpdateConversation(
	ctx context.Context, userID, id pid.ID, in ConversationPatch,
) (*ent.Conversation, error) {
	if err := in.check(s.cfg.MaxSystemBytes); err != nil {
		return nil, err
	}
	if err := s.checkAllowed(ctx, in.Model); err != nil {
		return nil, err
	}
	var c *ent.Conversation
	err := s.inTurn(ctx, userID, func(tx *ent.Tx) error {
		l, err := s.lockLine(ctx, tx, userID, id)
		if err != nil {
			return err
		}
		c, err = in.apply(ctx, l)
		return err
	})
	if c != nil {
		c.Unwrap()
	}
	err = s.publish(err, conversationFact(fact.ConversationUpdated, userID, id, c))
	if err != nil {
		return nil, err
	}
	return c, nil
}

// apply writes the patch under the conversation's lock.
func (in ConversationPatch) apply(ctx context.Context, l *line) (*ent.Conversation, error) {
	u := l.tx.Conversation.UpdateOne(l.conversation).Where(conversation.UserID(l.userID)).SetUpdatedAt(l.version())
	if in.Name != nil {
		if err := l.rename(ctx, u, *in.Name); err != nil {
			return nil, err
		}
	}
	switch {
	case in.Model == nil:
	case *in.Model == "":
		u.ClearModel()
	default:
		u.SetModel(*in.Model)
	}
	if in.Parameters != nil {
		u.SetParameters(in.Parameters.Encode())
	}
	if in.Context != nil {
		u.SetContextSettings(in.Context.encode())
	}
	if in.Pinned != nil {
		u.SetPinned(*in.Pinned)
	}
	switch {
	case in.Archived == nil:
	case !*in.Archived:
		u.ClearArchivedAt()
	case l.conversation.ArchivedAt == nil:
		u.SetArchivedAt(l.now)
	}
	if in.SystemPrompt != nil {
		if err := l.rewriteSystemPrompt(ctx, *in.SystemPrompt); err != nil {
			return nil, err
		}
	}
	c, err := u.Save(ctx)
	return c, orNotFound(err, "conversation")
}

// DeleteConversation removes a conversation with all its messages for good and
// stops its reply. What that has used so far counts. Error: NOT_FOUND.
func (s *Service) DeleteConversation(ctx context.Context, userID, id pid.ID) error {
	err := s.inTurn(ctx, userID, func(tx *ent.Tx) error {
		// The user's lock too, so that deletions are seen in the order of their numbers.
		now, err := s.store.LockSend(ctx, tx, userID, id)
		if err != nil {
			return err
		}
		used, running, err := s.replies.UsedSoFar(ctx, tx, userID, id)
		if err != nil {
			return err
		}
		n, err := tx.Conversation.Delete().Where(conversation.ID(id), conversation.UserID(userID)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("delete conversation: %w", err)
		}
		if n == 0 {
			return refusal.NotFound("conversation")
		}
		err = tx.ConversationDeletion.Create().SetUserID(userID).SetConversationID(id).SetDeletedAt(now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("note deletion: %w", err)
		}
		if running {
			if err := s.store.AddUsage(ctx, tx, used); err != nil {
				return err
			}
		}
		failpoint.Hit("chat.delete-uncommitted")
		return nil
	})
	failpoint.Hit("chat.after-delete")
	return s.publish(err, fact.Fact{Kind: fact.ConversationDeleted, UserID: userID, ConversationID: id,
		Conversation: &ent.Conversation{ID: id, UserID: userID}})
}

// Conversations returns those of the user's conversations that exist, in no
// particular order.
func (s *Service) Conversations(ctx context.Context, userID pid.ID, ids []pid.ID) ([]*ent.Conversation, error) {
	return s.store.Client().Conversation.Query().
		Where(conversation.IDIn(ids...), conversation.UserID(userID)).
		All(ctx)
}

// conversation reads one of the user's conversations. Error: NOT_FOUND.
func (s *Service) conversation(ctx context.Context, userID, id pid.ID) (*ent.Conversation, error) {
	c, err := s.store.Client().Conversation.Query().
		Where(conversation.ID(id), conversation.UserID(userID)).
		Only(ctx)
	return c, orNotFound(err, "conversation")
}

// ConversationFilter narrows a list of conversations. A nil field matches all.
type ConversationFilter struct {
	Archived *bool
	Pinned   *bool
}

func (f ConversationFilter) predicates(userID pid.ID) []predicate.Conversation {
	where := []predicate.Conversation{conversation.UserID(userID)}
	if f.Archived != nil {
		if *f.Archived {
			where = append(where, conversation.ArchivedAtNotNil())
		} else {
			where = append(where, conversation.ArchivedAtIsNil())
		}
	}
	if f.Pinned != nil {
		where = append(where, conversation.Pinned(*f.Pinned))
	}
	return where
}

// ListConversations returns a page of the user's conversations, the one with the
// latest message first. Error: BAD_USER_INPUT.
func (s *Service) ListConversations(
	ctx context.Context, userID pid.ID, filter ConversationFilter, args PageArgs,
) (Page[*ent.Conversation], error) {
	var none Page[*ent.Conversation]
	w, err := args.check()
	if err != nil {
		return none, err
	}
	q := s.store.Client().Conversation.Query().Where(filter.predicates(userID)...)
	for _, bound := range []struct {
		field  string
		cursor *string
		newer  bool
	}{{"after", w.after, false}, {"before", w.before, true}} {
		if bound.cursor == nil {
			continue
		}
		at, id, err := parseConversationCursor(bound.field, *bound.cursor)
		if err != nil {
			return none, err
		}
		q.Where(beside(at, id, bound.newer))
	}
	direction := sql.OrderDesc()
	if w.backward {
		direction = sql.OrderAsc()
	}
	items, err := q.
		Order(conversation.ByLastMessageAt(direction), conversation.ByID(direction)).
		Limit(w.n + 1).
		All(ctx)
	if err != nil {
		return none, fmt.Errorf("list conversations: %w", err)
	}
	return page(w, items), nil
}

// beside compares (last_message_at, id) as one row value, which an index serves.
func beside(at any, id pid.ID, newer bool) predicate.Conversation {
	return func(sel *sql.Selector) {
		columns := []string{sel.C(conversation.FieldLastMessageAt), sel.C(conversation.FieldID)}
		if newer {
			sel.Where(sql.CompositeGT(columns, at, id))
		} else {
			sel.Where(sql.CompositeLT(columns, at, id))
		}
	}
}

// CountConversations counts what ListConversations pages through.
func (s *Service) CountConversations(ctx context.Context, userID pid.ID, filter ConversationFilter) (int, error) {
	return s.store.Client().Conversation.Query().Where(filter.predicates(userID)...).Count(ctx)
}
