package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"parley/ent"
	"parley/ent/user"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/text"
	"parley/internal/viewer"
)

// SignIn opens an AuthSession for the account with this e-mail address.
//
// It returns UNAUTHENTICATED, in the same words and after the same work, whether
// the address is unknown, the password is wrong, the user is disabled or has no
// password. It returns RATE_LIMITED by account and by network address, counted
// before the password is looked at, and UNAVAILABLE.
func (s *Service) SignIn(ctx context.Context, email, password string) (*Tokens, error) {
	ctx = viewer.AsSignIn(ctx)
	account, problem := normalizeEmail(email)
	if problem != "" {
		account, email = "", "" // No account has it; the work is the same.
	}
	perAddress := addressBucket("sign-in:", ClientAddr(ctx), s.cfg.Limits.SignInBurst,
		1/s.cfg.Limits.SignInEvery.Seconds())
	a, wait, kind, err := s.throttle.password(ctx, accountKey(account), perAddress)
	if err := s.limited(ctx, "sign-in", wait, kind, err); err != nil {
		return nil, err
	}
	u, known, err := userByEmail(ctx, s.store.Client().User, email)
	if err != nil {
		return nil, err
	}
	var stored string
	if known && u.PasswordHash != nil {
		stored = *u.PasswordHash
	}
	ok, outdated, err := s.verifyCounted(ctx, a, stored, password)
	if err != nil {
		return nil, err
	}
	if !ok || u.DisabledAt != nil {
		attrs := []slog.Attr{slog.Bool("known_account", known)}
		if known {
			attrs = append(attrs, slog.String("user_id", string(u.ID)), slog.Bool("disabled", u.DisabledAt != nil))
		}
		s.log.WarnContext(ctx, "sign-in refused", s.audit(ctx, attrs...)...)
		return nil, errCredentials()
	}
	var rehashed string
	if outdated {
		if rehashed, err = s.hasher.hash(ctx, password); err != nil {
			rehashed = "" // The next sign-in will do it.
		}
	}
	return s.enter(ctx, u, a, rehashed)
}

// accountKey is what attempts at an account are counted by. It does not depend on
// whether the account exists, nor on how its address is spelled.
func accountKey(email string) string { return "email\x00" + text.Spelling(email) }

// verifyCounted compares the password of a counted attempt. The attempt is taken
// back when it came to no comparison.
func (s *Service) verifyCounted(
	ctx context.Context, a attempt, stored, password string,
) (ok, outdated bool, err error) {
	if ok, outdated, err = s.hasher.verify(ctx, stored, password); err == nil {
		return ok, outdated, nil
	}
	// Also when the client is gone: it was refused nothing.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if undoErr := a.withdraw(ctx); undoErr != nil {
		err = errors.Join(err, undoErr)
		return false, false, unavailable("take back attempt", err)
	}
	if e, ok := refusal.As(err); ok && e.Code == refusal.CodeRateLimited {
		s.logLimit(ctx, "password hashing", e.RetryAfter, "")
	}
	return false, false, err
}

// enter opens the AuthSession of a user whose password was right.
func (s *Service) enter(ctx context.Context, u *ent.User, a attempt, rehashed string) (*Tokens, error) {
	now, err := s.store.Now(ctx)
	if err != nil {
		return nil, unavailable("sign in", err)
	}
	var session *ent.AuthSession
	var refresh string
	var refused bool
	err = s.store.InTx(ctx, func(tx *ent.Tx) error {
		if err := a.succeeded(ctx, tx, now); err != nil {
			return err
		}
		current, same, err := s.unchanged(ctx, tx, u)
		if err != nil {
			return err
		}
		if refused = !same; refused {
			return nil
		}
		if rehashed != "" && *current.PasswordHash == *u.PasswordHash {
			if err := tx.User.Update().Where(user.ID(u.ID)).SetPasswordHash(rehashed).Exec(ctx); err != nil {
				return fmt.Errorf("rehash password: %w", err)
			}
		}
		u = current
		session, refresh, err = s.openSession(ctx, tx, u.ID, now)
		return err
	})
	if err != nil {
		return nil, unavailable("sign in", err)
	}
	if refused {
		return nil, errCredentials()
	}
	s.log.InfoContext(ctx, "signed in", s.audit(ctx,
		slog.String("user_id", string(u.ID)), slog.String("session_id", string(session.ID)))...)
	return s.tokens(u, session, refresh, now)
}

func userLock(id pid.ID) string { return "user:" + string(id) }

// unchanged reads the user again under its lock, and reports whether neither its
// password was changed nor the user disabled or deleted since u was read: else
// what u's password proved is proved no more.
func (s *Service) unchanged(ctx context.Context, tx *ent.Tx, u *ent.User) (*ent.User, bool, error) {
	if err := s.store.Lock(ctx, tx, userLock(u.ID)); err != nil {
		return nil, false, err
	}
	current, err := tx.User.Query().Where(user.ID(u.ID)).Only(ctx)
	if ent.IsNotFound(err) {
		return u, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read user: %w", err)
	}
	current = current.Unwrap()
	same := current.PasswordHash != nil && current.DisabledAt == nil &&
		(u.PasswordChangedAt == nil) == (current.PasswordChangedAt == nil) &&
		(u.PasswordChangedAt == nil || u.PasswordChangedAt.Equal(*current.PasswordChangedAt))
	return current, same, nil
}
