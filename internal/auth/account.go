package auth

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"parley/ent"
	"parley/ent/user"
	"parley/internal/refusal"
	"parley/internal/text"
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

// normalizeEmail trims and case-folds an address and composes its characters, and says what is
// wrong with it.
func normalizeEmail(raw string) (email, problem string) {
	if !utf8.ValidString(raw) {
		return "", malformedEmail
	}
	email = text.Spelling(foldEmail(raw))
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

func foldEmail(raw string) string { return strings.ToLower(strings.TrimSpace(raw)) }

// newEmail is normalizeEmail for an address that nobody has yet. It refuses what nobody can
// see too, by which two accounts would look like one.
func newEmail(raw string) (email, problem string) {
	email, problem = normalizeEmail(raw)
	if problem == "" && text.Hidden(email) {
		return "", "has a character that nobody can see"
	}
	return email, problem
}

// userByEmail returns the user whose address this is, and whether there is one. Accounts from
// before addresses were composed may have theirs decomposed. Where both are there, each has
// what was typed, or else the composed one.
func userByEmail(ctx context.Context, client *ent.UserClient, raw string) (*ent.User, bool, error) {
	typed := foldEmail(raw)
	spellings := text.Spellings(typed)
	rows, err := client.Query().Where(user.EmailIn(spellings...)).Limit(len(spellings)).All(ctx)
	if err != nil {
		return nil, false, unavailable("look up user", err)
	}
	for _, wanted := range append([]string{typed}, spellings...) {
		for _, u := range rows {
			if *u.Email == wanted {
				return u, true, nil
			}
		}
	}
	return nil, false, nil
}

// normalizeName returns the name as it is stored, and says what is wrong with it. Where
// nothing of it can be seen it is empty, as it may be.
func normalizeName(raw string) (name, problem string) {
	if !utf8.ValidString(raw) {
		return "", "must be valid Unicode"
	}
	if strings.ContainsRune(raw, 0) {
		return "", "may not contain the character NUL"
	}
	name = text.Line(raw)
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
	a.email, problem = newEmail(in.Email)
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
		if err := s.throttle.signedUp(ctx, tx, accountKey(account.email), now); err != nil {
			return err
		}
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
	_, taken, err := userByEmail(ctx, s.store.Client().User, email)
	if err != nil {
		return err
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
