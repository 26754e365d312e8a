package chat

import (
	"context"
	"fmt"

	"parley/ent"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/usage"
)

// kept is what a mutation has stored that asks no model: the ends of what its record names.
type kept struct {
	conversationID pid.ID
	first, last    pid.ID
}

// keep is run for a mutation that asks no model: it stores messages, once for its client key,
// and counts as a send. It returns the record of the first one when that has been made.
func (a *asking) keep(
	ctx context.Context, do func(ctx context.Context, tx *ent.Tx, s SendState) (kept, error),
) (known *ent.Send, err error) {
	err = a.checkRate()
	if err == nil {
		err = a.checkRoom(ctx, a.once.userID)
	}
	if err != nil {
		known, ok, findErr := a.once.find(ctx, a.store.Client().Send)
		if findErr != nil || !ok {
			return nil, err
		}
		return a.same(known)
	}
	err = a.inTurn(ctx, a.once.userID, func(tx *ent.Tx) error {
		known, err = a.keepIn(ctx, tx, do)
		return err
	})
	if known != nil && err == nil {
		return a.same(known)
	}
	return nil, a.publish(err, a.facts...)
}

// same returns a record that is of the same mutation. Error: IDEMPOTENCY_CONFLICT.
func (a *asking) same(known *ent.Send) (*ent.Send, error) {
	if known.PayloadHash != a.once.hash {
		return nil, keyConflict()
	}
	return known, nil
}

func (a *asking) keepIn(
	ctx context.Context, tx *ent.Tx, do func(ctx context.Context, tx *ent.Tx, s SendState) (kept, error),
) (*ent.Send, error) {
	var err error
	if a.now, err = a.store.LockSend(ctx, tx, a.once.userID, a.conversationID); err != nil {
		return nil, err
	}
	q := a.query()
	if a.cfg.ConversationsPerDay > 0 { // It may make one also beside the one that it names.
		day := usage.StartOfDay(a.now)
		q.Made = &day
	}
	state, err := a.store.BeforeSend(ctx, tx, q)
	if err != nil || state.Known != nil {
		return state.Known, err
	}
	if err := a.checkSends(state, a.now); err != nil {
		return nil, err
	}
	k, err := do(ctx, tx, state)
	if err != nil {
		return nil, err
	}
	if err := a.record(ctx, tx, k); err != nil {
		return nil, err
	}
	return nil, nil
}

// record notes for the client key what was stored.
func (a *asking) record(ctx context.Context, tx *ent.Tx, k kept) error {
	err := tx.Send.Create().
		SetID(pid.New(pid.Send)).
		SetUserID(a.once.userID).
		SetNillableClientKey(a.once.key).
		SetPayloadHash(a.once.hash).
		SetConversationID(k.conversationID).
		SetUserMessageID(k.first).
		SetReplyID(k.last).
		SetCreatedAt(a.now).
		Exec(ctx)
	if err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

// create is the insertion of a row, without what its end says of the context and the tokens.
func create(tx *ent.Tx, m *ent.Message) *ent.MessageCreate {
	return tx.Message.Create().
		SetID(m.ID).
		SetConversationID(m.ConversationID).
		SetUserID(m.UserID).
		SetNillableParentID(m.ParentID).
		SetIndex(m.Index).
		SetActive(m.Active).
		SetNillableActivatedAt(m.ActivatedAt).
		SetRole(m.Role).
		SetContent(m.Content).
		SetReasoning(m.Reasoning).
		SetStatus(m.Status).
		SetNillableFinishReason(m.FinishReason).
		SetNillableErrorCode(m.ErrorCode).
		SetNillableOwner(m.Owner).
		SetNillableReservedTokens(m.ReservedTokens).
		SetNillableContinuesID(m.ContinuesID).
		SetNillableModel(m.Model).
		SetParameters(m.Parameters).
		SetNillablePromptBytes(m.PromptBytes).
		SetOmittedOutput(m.OmittedOutput).
		SetDroppedParameters(m.DroppedParameters).
		SetCitations(m.Citations).
		SetAttempt(m.Attempt).
		SetNillableStartedAt(m.StartedAt).
		SetNillableFinishedAt(m.FinishedAt).
		SetNillableEditedAt(m.EditedAt).
		SetContinuedBytes(m.ContinuedBytes).
		SetCreatedAt(m.CreatedAt)
}

// lineChanged says that another line is shown from an index on.
func lineChanged(l *line, from int) fact.Fact {
	return fact.Fact{Kind: fact.LineChanged, UserID: l.userID, ConversationID: l.conversation.ID, Index: from,
		Revision: l.conversation.Revision}
}
