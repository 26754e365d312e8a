package chat

import (
	"context"
	"fmt"
	"time"

	"parley/ent/send"
	"parley/internal/viewer"
)

// keepSends is how long the record of a send without a client key is kept: it
// serves the limit on sends a minute, and nothing else. Records with a key are kept
// for good.
const keepSends = 24 * time.Hour

// Sweep removes rows that mean nothing any more. Call it now and then; any replica
// may.
func (s *Service) Sweep(ctx context.Context) error {
	now, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	_, err = s.store.Client().Send.Delete().
		Where(send.ClientKeyIsNil(), send.CreatedAtLT(now.Add(-keepSends))).
		Exec(viewer.AsSweep(ctx))
	if err != nil {
		return fmt.Errorf("remove old sends: %w", err)
	}
	return nil
}
