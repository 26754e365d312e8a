package chat

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"parley/ent"
	"parley/ent/send"
	"parley/internal/pid"
	"parley/internal/refusal"
)

// once makes a mutation that asks for a reply harmless to repeat: the first one with a
// client key is recorded with what it stored, and each later one is answered with that.
// Without a key it only records.
type once struct {
	userID pid.ID
	key    *string
	// hash is the same for two mutations that ask for the same thing.
	hash string
}

// payloadHash is over whatever makes two mutations the same. Every operation but
// sendMessage, whose records are older than the others, puts its name first, so that a
// key cannot serve two of them.
func payloadHash(parts ...any) string {
	b, err := json.Marshal(parts)
	if err != nil {
		panic(fmt.Sprintf("hash payload: %v", err)) // The checks of inputs refuse what JSON cannot hold.
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// find returns the record of the first mutation with this key, and whether there is one.
// Only BeforeSend, behind the user's lock, can say that there is none for good.
func (o once) find(ctx context.Context, sends *ent.SendClient) (*ent.Send, bool, error) {
	if o.key == nil {
		return nil, false, nil
	}
	known, err := sends.Query().Where(send.UserID(o.userID), send.ClientKey(*o.key)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("look up client key: %w", err)
	}
	return known, true, nil
}

// repeat answers a mutation whose client key is known with what the first one stored,
// as it is now. Errors: IDEMPOTENCY_CONFLICT, NOT_FOUND when it has been deleted.
func (s *Service) repeat(ctx context.Context, o once, known *ent.Send) (SendResult, error) {
	if known.PayloadHash != o.hash {
		return SendResult{}, keyConflict()
	}
	conversations, err := s.Conversations(ctx, o.userID, []pid.ID{known.ConversationID})
	if err != nil {
		return SendResult{}, err
	}
	messages, err := s.Messages(ctx, o.userID, []pid.ID{known.UserMessageID, known.ReplyID})
	if err != nil {
		return SendResult{}, err
	}
	result := SendResult{Deduplicated: true}
	for _, m := range messages {
		if m.ID == known.ReplyID {
			result.Reply = m
		} else {
			result.UserMessage = m
		}
	}
	if len(conversations) == 0 || result.UserMessage == nil || result.Reply == nil {
		return SendResult{}, refusal.NotFound("message any more")
	}
	result.Conversation = conversations[0]
	return result, nil
}
