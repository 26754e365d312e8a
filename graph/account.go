package graph

import (
	"context"

	"parley/ent"
	"parley/graph/model"
	"parley/internal/auth"
	"parley/internal/pid"
)

func authPayload(t *auth.Tokens, err error) (*model.AuthPayload, error) {
	if err != nil {
		return nil, err
	}
	return &model.AuthPayload{
		AccessToken:  t.AccessToken,
		RefreshToken: t.RefreshToken,
		ExpiresAt:    t.ExpiresAt,
		User:         t.User,
	}, nil
}

// self returns the user with this id, who is the one asking.
func (r *Resolver) self(ctx context.Context, id pid.ID) (*ent.User, error) {
	users, err := r.Accounts.Users(ctx, id, []pid.ID{id})
	if err != nil {
		return nil, err
	}
	if len(users) == 0 {
		return nil, errSignIn() // Deleted since the token was made.
	}
	return users[0], nil
}

func usersOf(l *level) *batch[pid.ID, *ent.User] { return &l.users }

func (r *Resolver) loadUsers(ctx context.Context, ids []pid.ID) (map[pid.ID]*ent.User, error) {
	return own(ctx, func(user pid.ID) (map[pid.ID]*ent.User, error) {
		items, err := r.Accounts.Users(ctx, user, ids)
		return byID(items, func(u *ent.User) pid.ID { return u.ID }), err
	})
}
