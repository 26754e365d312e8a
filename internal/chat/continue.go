package chat

import (
	"context"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
	"parley/internal/refusal"
)

// ContinueReply goes on with a reply that was cut off: another version of it, which begins
// with its text, becomes the one that is shown. The old one stays as it is. It must be the
// head. Errors: those of RegenerateReply; BAD_USER_INPUT also for a reply that was not cut
// off, or has no text.
func (s *Service) ContinueReply(ctx context.Context, userID pid.ID, in Again) (SendResult, error) {
	if err := in.check(refusal.Problems{}); err != nil {
		return SendResult{}, err
	}
	a, err := s.again(ctx, userID, in, payloadHash("continueReply", in.MessageID, in.Model, in.Parameters))
	if err != nil {
		return SendResult{}, err
	}
	result, err := a.run(ctx, func(ctx context.Context, tx *ent.Tx, state SendState) (spot, error) {
		return a.resume(ctx, tx, state, in)
	})
	return s.finish(ctx, userID, in.Wait, result, err)
}

func (a *asking) resume(ctx context.Context, tx *ent.Tx, s SendState, in Again) (spot, error) {
	if s.Conversation == nil {
		return spot{}, refusal.NotFound("message")
	}
	l := &line{tx: tx, userID: a.once.userID, conversation: s.Conversation, now: a.now}
	old, err := l.message(ctx, in.MessageID)
	if err != nil {
		return spot{}, err
	}
	if wasCutOff(old) { // The model that has begun goes on.
		if err := a.decideModel(old.Model); err != nil {
			return spot{}, err
		}
	}
	l, old, waits, err := a.toVersion(ctx, tx, &s, in)
	if err != nil {
		return spot{}, err
	}
	switch {
	case old.ID != s.Conversation.HeadID:
		return spot{}, staleHead(s.Conversation.HeadID)
	case !wasCutOff(old):
		return spot{}, refusal.BadInput("messageId", "must name a reply that was cut off and has some text")
	}
	question, err := l.message(ctx, *old.ParentID)
	if err != nil {
		return spot{}, err
	}
	return a.put(ctx, l, s, spot{line: l, question: question, again: true, continues: old, waits: waits}, question.ID)
}

// wasCutOff reports whether there is a text to go on with that has not come to its end.
func wasCutOff(m *ent.Message) bool {
	if m.Role != message.RoleASSISTANT || m.Content == "" || m.ParentID == nil {
		return false
	}
	switch m.Status {
	case message.StatusSTOPPED, message.StatusINTERRUPTED, message.StatusFAILED:
		return true
	case message.StatusCOMPLETED:
		return m.FinishReason != nil && *m.FinishReason == message.FinishReasonLENGTH
	}
	return false
}
