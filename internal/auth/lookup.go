package auth

import (
	"context"

	"parley/ent"
	"parley/ent/user"
	"parley/internal/pid"
)

// Users returns those of the users with these ids whom this user may see, which is the
// user alone, in no particular order. It returns UNAVAILABLE.
func (s *Service) Users(ctx context.Context, userID pid.ID, ids []pid.ID) ([]*ent.User, error) {
	users, err := s.store.Client().User.Query().Where(user.ID(userID), user.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, unavailable("read users", err)
	}
	return users, nil
}
