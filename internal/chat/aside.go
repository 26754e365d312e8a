package chat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"parley/ent"
	"parley/ent/summary"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/usage"
)

// asidesPerMinute is how many names, and how many summaries, one user may have made in a
// minute at one replica.
const asidesPerMinute = 6

// RegenerateName has a model name the conversation now, also where it has a name of the
// user's, and returns it: with the old name when the model says nothing, when there is no
// question yet, or when it got another name meanwhile. It waits for the model. Errors:
// NOT_FOUND; BAD_USER_INPUT without a model for names, and for a temporary conversation;
// RATE_LIMITED, QUOTA_EXCEEDED, OVERLOADED, MODEL_UNAVAILABLE.
func (s *Service) RegenerateName(ctx context.Context, userID, conversationID pid.ID) (*ent.Conversation, error) {
	c, err := s.conversation(ctx, userID, conversationID)
	switch {
	case err != nil:
		return nil, err
	case s.replies.TitleModel() == "":
		return nil, refusal.BadInput("conversationId",
			"must be named by hand: this server has no model for names (PARLEY_TITLE_MODEL)")
	case c.Temporary:
		return nil, refusal.BadInput("conversationId", "must not be that of a temporary conversation")
	}
	if err := s.paced(s.names, userID, "names"); err != nil {
		return nil, err
	}
	c, err = s.replies.NameNow(ctx, userID, conversationID)
	return c, s.asideRefusal(ctx, err, "The model for names gives this conversation none. Name it yourself.")
}

// SummarizeConversation sums up the older part of the visible line now, and returns nil when
// there is too little to sum up: less than two turns beside the newest part, which stays as it
// is. It waits for the model. Errors: NOT_FOUND, RATE_LIMITED, QUOTA_EXCEEDED, OVERLOADED,
// MODEL_UNAVAILABLE.
func (s *Service) SummarizeConversation(ctx context.Context, userID, conversationID pid.ID) (*ent.Summary, error) {
	if _, err := s.conversation(ctx, userID, conversationID); err != nil {
		return nil, err
	}
	if err := s.paced(s.summaries, userID, "summaries"); err != nil {
		return nil, err
	}
	made, err := s.replies.SummarizeNow(ctx, userID, conversationID)
	return made, s.asideRefusal(ctx, err, "The model of the newest reply does not sum this conversation up. "+
		"Go on with another model, and try again.")
}

// DeleteSummary throws a summary away: what it covers is sent again as it is. Error:
// NOT_FOUND.
func (s *Service) DeleteSummary(ctx context.Context, userID, summaryID pid.ID) error {
	found, err := s.Summaries(ctx, userID, []pid.ID{summaryID})
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		return refusal.NotFound("summary")
	}
	id := found[0].ConversationID
	var c *ent.Conversation
	err = s.inTurn(ctx, userID, func(tx *ent.Tx) error {
		c = nil
		l, err := s.lockLine(ctx, tx, userID, id)
		if err != nil {
			return err
		}
		n, err := tx.Summary.Delete().Where(summary.ID(summaryID), summary.UserID(userID)).Exec(ctx)
		if err != nil {
			return fmt.Errorf("delete summary: %w", err)
		}
		if n == 0 {
			return refusal.NotFound("summary")
		}
		c, err = s.store.Touch(ctx, tx, userID, id, l.now)
		return err
	})
	return s.publish(err, conversationFact(fact.ConversationUpdated, userID, id, c))
}

// paced refuses more of something than one user may have made in a minute.
func (s *Service) paced(p *pace, userID pid.ID, what string) error {
	wait := p.take(userID, time.Now())
	if wait == 0 {
		return nil
	}
	s.meters.Limits.Of(limitAsides).Inc()
	return refusal.RateLimited(fmt.Sprintf("At most %d %s may be made in a minute.", asidesPerMinute, what), wait)
}

// asideRefusal says to the user why no name or summary was made. Refused is what it says where
// trying again does not help.
func (s *Service) asideRefusal(ctx context.Context, err error, refused string) error {
	var failure *reply.Error
	switch {
	case ctx.Err() != nil || err == nil:
		return err
	case ent.IsNotFound(err):
		return refusal.NotFound("conversation")
	case errors.Is(err, reply.ErrNoTokens):
		s.meters.Quotas.Of(tokensPerDay).Inc()
		now, clock := s.store.Now(ctx)
		if clock != nil {
			return clock
		}
		return refusal.QuotaExceeded(tokensPerDay, "The tokens of this day are used up.", usage.LeftOfDay(now),
			usage.NextDay(now))
	case errors.Is(err, reply.ErrAsidesBusy):
		return refusal.Overloaded(settleSoon)
	case errors.Is(err, reply.ErrStopping):
		return refusal.Unavailable(err)
	case errors.Is(err, reply.ErrNoSummaries):
		return noSummaries()
	case errors.As(err, &failure):
		if _, retryable := reply.Explain(failure.Code); !retryable {
			return &refusal.Error{Code: refusal.CodeModelUnavailable, Message: refused, Err: err}
		}
		return modelUnavailable(err)
	}
	return err
}
