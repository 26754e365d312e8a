package auth

import (
	"context"

	"parley/ent"
	"parley/ent/user"
	"parley/internal/pid"
)

// Users returns those of the users with these ids whom the viewer in ctx may see,
// which is the viewer alone, in no particular order. It returns UNAVAILABLE.
func (s *Service) Users(ctx context.Context, ids []pid.ID) ([]*ent.User, error) {
	users, err := s.store.Client().User.Query().Where(user.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, unavailable("read users", err)
	}
	return users, nil
}
