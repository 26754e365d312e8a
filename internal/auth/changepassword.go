package auth

import (
	"context"
	"fmt"
	"log/slog"

	"parley/ent"
	"parley/ent/authsession"
	"parley/ent/user"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/text"
	"parley/internal/viewer"
)

// ChangePassword sets a new password and ends the user's other AuthSessions at
// once; the principal's own goes on.
//
// It returns BAD_USER_INPUT with all that is wrong, a wrong current password
// included (UNAUTHENTICATED would make clients drop a good token), FORBIDDEN for a
// user without a password here, RATE_LIMITED when the current password is guessed
// at, UNAUTHENTICATED when the principal's access has ended, and UNAVAILABLE.
func (s *Service) ChangePassword(ctx context.Context, p Principal, current, next string) error {
	ctx = viewer.AsSignIn(ctx)
	u, err := s.store.Client().User.Query().Where(user.ID(p.UserID)).Only(ctx)
	if ent.IsNotFound(err) {
		return errRevoked("no such user")
	}
	if err != nil {
		return unavailable("look up user", err)
	}
	if u.PasswordHash == nil || p.SessionID == "" {
		return refusal.Forbidden("This account has no password here: it belongs to an external issuer.")
	}
	wrong := make(refusal.Problems)
	var email string
	if u.Email != nil {
		email = *u.Email
	}
	wrong.Add(fieldNewPassword, passwordProblem(next, email))
	if samePassword(next, current) {
		wrong.Add(fieldNewPassword, "must differ from the current one")
	}
	if err := wrong.Err(); err != nil {
		return err
	}
	// Counted apart from sign-ins, so that whoever holds a stolen access token cannot
	// make the owner wait at sign-in.
	a, wait, kind, err := s.throttle.password(ctx, "change\x00"+string(u.ID), nil)
	if err := s.limited(ctx, "password change", wait, kind, err); err != nil {
		return err
	}
	ok, _, err := s.verifyCounted(ctx, a, *u.PasswordHash, current)
	if err != nil {
		return err
	}
	if !ok {
		s.log.WarnContext(ctx, "password change refused", s.audit(ctx, slog.String("user_id", string(u.ID)))...)
		return refusal.BadInput(fieldCurrentPassword, "is wrong")
	}
	hash, err := s.hasher.hash(ctx, next)
	if err != nil {
		return err
	}
	return s.replacePassword(ctx, p, u, a, hash)
}

// samePassword reports whether two passwords are compared as the same.
func samePassword(a, b string) bool {
	return a == b || max(len(a), len(b)) <= maxPasswordBytes && text.Password(a) == text.Password(b)
}

func (s *Service) replacePassword(ctx context.Context, p Principal, u *ent.User, a attempt, hash string) error {
	now, err := s.store.Now(ctx)
	if err != nil {
		return unavailable("change password", err)
	}
	var ended []pid.ID
	var refused bool
	err = s.store.InTx(ctx, func(tx *ent.Tx) error {
		if err := a.succeeded(ctx, tx, now); err != nil {
			return err
		}
		_, same, err := s.unchanged(ctx, tx, u)
		if err != nil {
			return err
		}
		own, err := tx.AuthSession.Query().
			Where(authsession.ID(p.SessionID), authsession.UserID(u.ID), authsession.RevokedAtIsNil()).Exist(ctx)
		if err != nil {
			return fmt.Errorf("read auth session: %w", err)
		}
		if refused = !same || !own; refused {
			return nil
		}
		err = tx.User.Update().Where(user.ID(u.ID)).
			SetPasswordHash(hash).SetPasswordChangedAt(now).SetUpdatedAt(now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("set password: %w", err)
		}
		others := authsession.And(authsession.UserID(u.ID), authsession.IDNEQ(p.SessionID))
		ended, err = tx.AuthSession.Query().Where(others, authsession.RevokedAtIsNil()).
			Order(authsession.ByCreatedAt(), authsession.ByID()).Limit(maxRevocations).IDs(ctx)
		if err != nil {
			return fmt.Errorf("list auth sessions: %w", err)
		}
		_, err = s.endSessions(ctx, tx, now, reasonPasswordChanged, others)
		return err
	})
	if err != nil {
		return unavailable("change password", err)
	}
	if refused {
		return errRevoked("the password or the access changed in the meantime")
	}
	s.log.InfoContext(ctx, "password changed", s.audit(ctx,
		slog.String("user_id", string(u.ID)), slog.Int("sessions_ended", len(ended)))...)
	for _, id := range ended {
		s.publishRevoked(fact.Fact{Kind: fact.AccessRevoked, UserID: u.ID, SessionID: id})
	}
	return nil
}
