package chat

import (
	"context"
	"fmt"

	"parley/ent"
	"parley/ent/summary"
	"parley/internal/pid"
)

// Summaries returns those of the user's summaries that exist, in no particular order.
func (s *Service) Summaries(ctx context.Context, userID pid.ID, ids []pid.ID) ([]*ent.Summary, error) {
	items, err := s.store.Client().Summary.Query().
		Where(summary.IDIn(ids...), summary.UserID(userID)).
		All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read summaries: %w", err)
	}
	return items, nil
}
