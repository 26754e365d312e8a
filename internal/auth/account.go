package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"parley/ent"
	"parley/ent/authsession"
	"parley/ent/user"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/viewer"
)

const (
	maxEmailBytes = 254
	maxNameLen    = 100
	// maxRevocations bounds how many AuthSessions a password change names on the bus.
	// Beyond that the checks of every few seconds find the rest.
	maxRevocations = 1000
)

// The input fields named in refusals.
const (
	fieldEmail           = "email"
	fieldPassword        = "password"
	fieldName            = "name"
	fieldCurrentPassword = "currentPassword"
	fieldNewPassword     = "newPassword"
)

// SignUpInput is what somebody says to get an account. It prints as [redacted].
type SignUpInput struct {
	Email    string
	Password string
	// Name is for display and may be empty.
	Name string
}

// Format implements fmt.Formatter for every verb.
// fmt has no way to report an error.
func (SignUpInput) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedValue) }

// LogValue implements slog.LogValuer.
func (SignUpInput) LogValue() slog.Value { return slog.StringValue(redactedValue) }

const malformedEmail = "is not an e-mail address"

// normalizeEmail trims and case-folds an address, and says what is wrong with it.
func normalizeEmail(raw string) (email, problem string) {
	if !utf8.ValidString(raw) {
		return "", malformedEmail
	}
	email = strings.ToLower(strings.TrimSpace(raw))
	if email == "" {
		return "", "must not be empty"
	}
	if len(email) > maxEmailBytes {
		return "", fmt.Sprintf("may have at most %d bytes", maxEmailBytes)
	}
	if strings.ContainsFunc(email, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
		return "", malformedEmail
	}
	// ParseAddress also reads "Name <address>" and comments; they do not come back
	// as they were.
	if a, err := mail.ParseAddress(email); err != nil || a.Name != "" || a.Address != email {
		return "", malformedEmail
	}
	return email, ""
}

func normalizeName(raw string) (name, problem string) {
	name = strings.TrimSpace(raw)
	if !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return "", "must be one line of text"
	}
	if utf8.RuneCountInString(name) > maxNameLen {
		return "", fmt.Sprintf("may have at most %d characters", maxNameLen)
	}
	return name, ""
}

// newAccount is a checked SignUpInput.
type newAccount struct{ email, name, password string }

func (in SignUpInput) check() (newAccount, error) {
	wrong := make(refusal.Problems)
	var a newAccount
	var problem string
	a.email, problem = normalizeEmail(in.Email)
	wrong.Add(fieldEmail, problem)
	a.name, problem = normalizeName(in.Name)
	wrong.Add(fieldName, problem)
	a.password = in.Password
	wrong.Add(fieldPassword, passwordProblem(in.Password, a.email))
	return a, wrong.Err()
}

// SignUp makes an account and signs it in.
//
// It returns FORBIDDEN when sign-up is closed, BAD_USER_INPUT with all that is
// wrong, RATE_LIMITED and UNAVAILABLE. That an e-mail address has an account
// already is BAD_USER_INPUT too: without a way to send mail sign-up cannot hide
// it, so the limit for each address is strict.
func (s *Service) SignUp(ctx context.Context, in SignUpInput) (*Tokens, error) {
	if !s.cfg.SignUpOpen {
		return nil, refusal.Forbidden("Sign-up is closed on this server. Ask its operator for an account.")
	}
	ctx = viewer.AsSignIn(ctx)
	account, err := in.check()
	if err != nil {
		return nil, err
	}
	wait, kind, err := s.throttle.signUp(ctx)
	if err := s.limited(ctx, "sign-up", wait, kind, err); err != nil {
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
		return nil, unavailable("sign up", err)
	}
	var u *ent.User
	var session *ent.AuthSession
	var refresh string
	err = s.store.InTx(ctx, func(tx *ent.Tx) error {
		if u, err = createUser(ctx, tx.User, account, hash, now); err != nil {
			return err
		}
		u = u.Unwrap()
		session, refresh, err = s.openSession(ctx, tx, u.ID, now)
		return err
	})
	if err != nil {
		return nil, unavailable("sign up", err)
	}
	s.log.InfoContext(ctx, "signed up", s.audit(ctx,
		slog.String("user_id", string(u.ID)), slog.String("session_id", string(session.ID)))...)
	return s.tokens(u, session, refresh, now)
}

func errEmailTaken() *refusal.Error { return refusal.BadInput(fieldEmail, "has an account already") }

func (s *Service) emailFree(ctx context.Context, email string) error {
	taken, err := s.store.Client().User.Query().Where(user.Email(email)).Exist(ctx)
	if err != nil {
		return unavailable("look up e-mail", err)
	}
	if taken {
		return errEmailTaken()
	}
	return nil
}

func createUser(
	ctx context.Context, client *ent.UserClient, a newAccount, hash string, now time.Time,
) (*ent.User, error) {
	u, err := client.Create().
		SetEmail(a.email).SetName(a.name).
		SetPasswordHash(hash).SetPasswordChangedAt(now).
		SetCreatedAt(now).SetUpdatedAt(now).
		Save(ctx)
	if ent.IsConstraintError(err) {
		return nil, errEmailTaken() // Somebody was faster.
	}
	if err != nil {
		return nil, fmt.Errorf("create user: %w", err)
	}
	return u, nil
}

// SignIn opens an AuthSession for the account with this e-mail address.
//
// It returns UNAUTHENTICATED, in the same words and after the same work, whether
// the address is unknown, the password is wrong, the user is disabled or has no
// password. It returns RATE_LIMITED by account and by network address, counted
// before the password is looked at, and UNAVAILABLE.
func (s *Service) SignIn(ctx context.Context, email, password string) (*Tokens, error) {
	ctx = viewer.AsSignIn(ctx)
	email, problem := normalizeEmail(email)
	if problem != "" {
		email = "" // No account has it; the work is the same.
	}
	perAddress := addressBucket("sign-in:", ClientAddr(ctx), s.cfg.Limits.SignInBurst,
		1/s.cfg.Limits.SignInEvery.Seconds())
	a, wait, kind, err := s.throttle.password(ctx, accountKey(email), perAddress)
	if err := s.limited(ctx, "sign-in", wait, kind, err); err != nil {
		return nil, err
	}
	u, err := s.store.Client().User.Query().Where(user.Email(email)).Only(ctx)
	if err != nil && !ent.IsNotFound(err) {
		return nil, unavailable("look up user", err)
	}
	var stored string
	if u != nil && u.PasswordHash != nil {
		stored = *u.PasswordHash
	}
	ok, outdated, err := s.verifyCounted(ctx, a, stored, password)
	if err != nil {
		return nil, err
	}
	if !ok || u.DisabledAt != nil {
		attrs := []slog.Attr{slog.Bool("known_account", u != nil)}
		if u != nil {
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
// whether the account exists.
func accountKey(email string) string { return "email\x00" + email }

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
	if next == current {
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
