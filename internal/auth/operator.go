package auth

import (
	"context"
	"log/slog"

	"parley/ent"
	"parley/ent/authsession"
	"parley/ent/user"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/viewer"
)

// maxUserPage bounds one page of ListUsers.
const maxUserPage = 1000

// asOperator returns FORBIDDEN unless the operator is asking. The caller says so
// with viewer.AsAdmin: that these methods can be reached must not be enough.
func asOperator(ctx context.Context) error {
	if v, ok := viewer.From(ctx); !ok || !v.Is(viewer.Admin) {
		return refusal.Forbidden("Only the operator may do this.")
	}
	return nil
}

// AddUser makes an account, also where sign-up is closed. The context must carry
// viewer.AsAdmin. It returns FORBIDDEN, BAD_USER_INPUT with all that is wrong, an
// e-mail address that is taken included, RATE_LIMITED when the processors are busy
// hashing, and UNAVAILABLE.
func (s *Service) AddUser(ctx context.Context, email, name, password string) (*ent.User, error) {
	if err := asOperator(ctx); err != nil {
		return nil, err
	}
	account, err := SignUpInput{Email: email, Name: name, Password: password}.check()
	if err != nil {
		return nil, err
	}
	if err := s.emailFree(ctx, account.email); err != nil {
		return nil, err
	}
	hash, err := s.hasher.hash(ctx, account.password)
	if err != nil {
		return nil, err
	}
	now, err := s.store.Now(ctx)
	if err != nil {
		return nil, unavailable("add user", err)
	}
	u, err := createUser(ctx, s.store.Client().User, account, hash, now)
	if err != nil {
		return nil, unavailable("add user", err)
	}
	s.log.InfoContext(ctx, "user added", slog.String("user_id", string(u.ID)))
	return u, nil
}

// ListUsers returns up to limit users (at most 1000) with ids after the given one,
// in the order of their ids, which is the order they were made in. The context must
// carry viewer.AsAdmin. It returns FORBIDDEN and UNAVAILABLE.
func (s *Service) ListUsers(ctx context.Context, after pid.ID, limit int) ([]*ent.User, error) {
	if err := asOperator(ctx); err != nil {
		return nil, err
	}
	users, err := s.store.Client().User.Query().Where(user.IDGT(after)).
		Order(user.ByID()).Limit(min(max(limit, 1), maxUserPage)).All(ctx)
	if err != nil {
		return nil, unavailable("list users", err)
	}
	return users, nil
}

// SetPassword sets the password of the account with this e-mail address or user id
// and ends all its AuthSessions. The context must carry viewer.AsAdmin. It returns
// FORBIDDEN, also for a user of an external issuer, NOT_FOUND, BAD_USER_INPUT,
// RATE_LIMITED when the processors are busy hashing, and UNAVAILABLE.
func (s *Service) SetPassword(ctx context.Context, account, password string) error {
	u, err := s.operatorsUser(ctx, account)
	if err != nil {
		return err
	}
	if u.Email == nil {
		return refusal.Forbidden("This account has no password here: it belongs to an external issuer.")
	}
	wrong := make(refusal.Problems)
	wrong.Add(fieldPassword, passwordProblem(password, *u.Email))
	if err := wrong.Err(); err != nil {
		return err
	}
	hash, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	now, err := s.store.Now(ctx)
	if err != nil {
		return unavailable("set password", err)
	}
	err = s.store.InTx(ctx, func(tx *ent.Tx) error {
		// The throttle belongs to signing in; the operator lets the user try at once.
		if err := s.throttle.forget(viewer.AsSignIn(ctx), tx, accountKey(*u.Email)); err != nil {
			return err
		}
		if err := s.store.Lock(ctx, tx, userLock(u.ID)); err != nil {
			return err
		}
		err := tx.User.Update().Where(user.ID(u.ID)).
			SetPasswordHash(hash).SetPasswordChangedAt(now).SetUpdatedAt(now).Exec(ctx)
		if err != nil {
			return err
		}
		_, err = s.endSessions(ctx, tx, now, reasonPasswordChanged, authsession.UserID(u.ID))
		return err
	})
	if err != nil {
		return unavailable("set password", err)
	}
	s.log.InfoContext(ctx, "password set by operator", slog.String("user_id", string(u.ID)))
	s.publishRevoked(fact.Fact{Kind: fact.AccessRevoked, UserID: u.ID})
	return nil
}

// SetDisabled disables the account with this e-mail address or user id and ends all
// its AuthSessions, or enables it again. The context must carry viewer.AsAdmin. It
// returns FORBIDDEN, NOT_FOUND and UNAVAILABLE.
func (s *Service) SetDisabled(ctx context.Context, account string, disabled bool) error {
	u, err := s.operatorsUser(ctx, account)
	if err != nil {
		return err
	}
	now, err := s.store.Now(ctx)
	if err != nil {
		return unavailable("disable user", err)
	}
	err = s.store.InTx(ctx, func(tx *ent.Tx) error {
		if err := s.store.Lock(ctx, tx, userLock(u.ID)); err != nil {
			return err
		}
		if !disabled {
			return tx.User.Update().Where(user.ID(u.ID)).ClearDisabledAt().SetUpdatedAt(now).Exec(ctx)
		}
		err := tx.User.Update().Where(user.ID(u.ID), user.DisabledAtIsNil()).SetDisabledAt(now).SetUpdatedAt(now).
			Exec(ctx)
		if err != nil {
			return err
		}
		_, err = s.endSessions(ctx, tx, now, reasonDisabled, authsession.UserID(u.ID))
		return err
	})
	if err != nil {
		return unavailable("disable user", err)
	}
	s.log.InfoContext(ctx, "user access set by operator", slog.String("user_id", string(u.ID)),
		slog.Bool("disabled", disabled))
	if disabled {
		s.publishRevoked(fact.Fact{Kind: fact.AccessRevoked, UserID: u.ID})
	}
	return nil
}

// operatorsUser finds a user by e-mail address, or by id, since users of external
// issuers have no address that is theirs alone.
func (s *Service) operatorsUser(ctx context.Context, account string) (*ent.User, error) {
	if err := asOperator(ctx); err != nil {
		return nil, err
	}
	if !pid.ID(account).Is(pid.User) {
		if _, problem := normalizeEmail(account); problem != "" {
			return nil, refusal.NotFound("account")
		}
		u, known, err := userByEmail(ctx, s.store.Client().User, account)
		if err == nil && !known {
			err = refusal.NotFound("account")
		}
		return u, err
	}
	u, err := s.store.Client().User.Query().Where(user.ID(pid.ID(account))).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, refusal.NotFound("account")
	}
	if err != nil {
		return nil, unavailable("look up user", err)
	}
	return u, nil
}
