package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"parley/ent"
	"parley/ent/authsession"
	"parley/ent/user"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/viewer"
)

const (
	refreshPrefix = "prt"
	secretBytes   = 32
	tagBytes      = 16
	// maxRefreshBytes is more than a refresh token can have.
	maxRefreshBytes = 256
)

// Why an AuthSession was ended, as kept in its row.
const (
	reasonSignedOut       = "signed-out"
	reasonReused          = "refresh-token-reused"
	reasonPasswordChanged = "password-changed"
	reasonDisabled        = "user-disabled"
)

// refreshToken is one token of a refresh family. In text it is
//
//	prt.<AuthSession id>.<generation>.<secret>.<tag>
//
// The tag is a MAC over the rest. It lets us tell a token that we made long ago,
// of which nothing is stored, from one that somebody made up: only the former
// shows that the family was copied.
type refreshToken struct {
	session    pid.ID
	generation int
	secret     [secretBytes]byte
}

func (t refreshToken) body() string {
	return refreshPrefix + "." + string(t.session) + "." + strconv.Itoa(t.generation) + "." +
		base64.RawURLEncoding.EncodeToString(t.secret[:])
}

func (t refreshToken) tag(key *serverKey) []byte {
	mac := hmac.New(sha256.New, key.tag)
	mac.Write([]byte(t.body())) // A hash never returns an error.
	return mac.Sum(nil)[:tagBytes]
}

// text returns the token as the client sees it.
func (t refreshToken) text(key *serverKey) string {
	return t.body() + "." + base64.RawURLEncoding.EncodeToString(t.tag(key))
}

// successor is the token after t, the same each time it is asked for with the same
// key.
func (t refreshToken) successor(key *serverKey) refreshToken {
	mac := hmac.New(sha256.New, key.successor)
	mac.Write([]byte(t.body())) // A hash never returns an error.
	next := refreshToken{session: t.session, generation: t.generation + 1}
	copy(next.secret[:], mac.Sum(nil))
	return next
}

func newRefreshToken(session pid.ID) refreshToken {
	t := refreshToken{session: session}
	_, _ = rand.Read(t.secret[:]) // It never fails; it ends the process instead.
	return t
}

func hashToken(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

var errRefreshToken = errors.New("not a refresh token of this server")

// parseRefreshToken reads a token that one of our keys has made, and refuses all
// else, without asking the database.
func parseRefreshToken(text string, ring *Keyring) (refreshToken, error) {
	if len(text) > maxRefreshBytes {
		return refreshToken{}, errRefreshToken
	}
	parts := strings.Split(text, ".")
	if len(parts) != 5 || parts[0] != refreshPrefix || !pid.ID(parts[1]).Is(pid.AuthSession) {
		return refreshToken{}, errRefreshToken
	}
	t := refreshToken{session: pid.ID(parts[1])}
	var err error
	if t.generation, err = strconv.Atoi(parts[2]); err != nil || t.generation < 0 {
		return refreshToken{}, errRefreshToken
	}
	secret, err := base64.RawURLEncoding.DecodeString(parts[3])
	if err != nil || len(secret) != secretBytes {
		return refreshToken{}, errRefreshToken
	}
	copy(t.secret[:], secret)
	// Comparing whole texts also refuses other spellings of the same token, whose
	// hash would not be the stored one.
	for _, kid := range ring.KeyIDs() {
		key, _ := ring.find(kid)
		if subtle.ConstantTimeCompare([]byte(t.text(key)), []byte(text)) == 1 {
			return t, nil
		}
	}
	return refreshToken{}, errRefreshToken
}

// openSession makes an AuthSession for the user within tx and returns its first
// refresh token.
func (s *Service) openSession(
	ctx context.Context, tx *ent.Tx, userID pid.ID, now time.Time,
) (*ent.AuthSession, string, error) {
	kid, key := s.keys.current()
	first := newRefreshToken(pid.New(pid.AuthSession))
	text := first.text(key)
	expires := now.Add(s.cfg.RefreshAbsolute)
	row, err := tx.AuthSession.Create().
		SetID(first.session).
		SetUserID(userID).
		SetTokenHash(hashToken(text)).
		SetKeyID(kid).
		SetRotatedAt(now).
		SetExpiresAt(expires).
		SetIdleExpiresAt(now.Add(s.cfg.RefreshIdle)).
		SetCreatedAt(now).
		Save(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("create auth session: %w", err)
	}
	// Kept beside the session, which ends and is swept.
	if err := tx.User.Update().Where(user.ID(userID)).SetLastSignInAt(now).Exec(ctx); err != nil {
		return nil, "", fmt.Errorf("note sign-in: %w", err)
	}
	return row.Unwrap(), text, nil
}

// refreshed is what became of a refresh within its transaction. Refusals are not
// errors there: what they wrote has to stay.
type refreshed struct {
	user    *ent.User
	session *ent.AuthSession
	token   string
	refused *refusal.Error
	// revoked says that the refusal ended the family.
	revoked bool
}

// Refresh exchanges a refresh token for its successor and a new access token. The
// same token shown again, the direct predecessor only, gives the same successor again,
// however many ask at once: within the grace, and later for as long as nothing that came
// with the successor has been used. Then the answer was lost, and who asked still holds
// what it held before.
//
// It returns UNAUTHENTICATED for a token that is expired, revoked or not ours, and
// for any other that was replaced; the latter ends the whole AuthSession and
// publishes fact.AccessRevoked, since two parties hold the family. It returns
// RATE_LIMITED when one AuthSession is rotated too often, and UNAVAILABLE.
func (s *Service) Refresh(ctx context.Context, text string) (*Tokens, error) {
	return s.refresh(ctx, text, false)
}

// Resume is Refresh for a token that several askers share, such as a cookie: one that
// became the current token within twice the grace is given again instead of being replaced.
// So an answer must come later than the grace to bring a token that is no longer the current
// one, and a page that is loaded again and again replaces none.
func (s *Service) Resume(ctx context.Context, text string) (*Tokens, error) {
	return s.refresh(ctx, text, true)
}

// Owns reports whether text is a refresh token that this server has made, however long ago.
// It does not ask the database.
func (s *Service) Owns(text string) bool {
	_, err := parseRefreshToken(text, s.keys)
	return err == nil
}

// Supersede ends the AuthSession of the refresh token held, as SignOutHolder does, unless next
// is one of the same AuthSession. It returns UNAVAILABLE.
func (s *Service) Supersede(ctx context.Context, held, next string) error {
	former, err := parseRefreshToken(held, s.keys)
	if err != nil {
		return nil // Nothing of ours is opened by it.
	}
	if latter, err := parseRefreshToken(next, s.keys); err == nil && latter.session == former.session {
		return nil
	}
	return s.SignOutHolder(ctx, held)
}

// SignOutHolder ends the AuthSession of a refresh token of ours, also of one that was
// replaced: who has held it may end what it opened. A token that is not ours, and one whose
// AuthSession has ended, do nothing. It returns UNAVAILABLE.
func (s *Service) SignOutHolder(ctx context.Context, text string) error {
	token, err := parseRefreshToken(text, s.keys)
	if err != nil {
		return nil // Nothing of ours is opened by it.
	}
	row, err := s.store.Client().AuthSession.Query().Where(authsession.ID(token.session)).
		Only(viewer.AsSignIn(ctx))
	if ent.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return unavailable("sign out", err)
	}
	return s.SignOut(ctx, Principal{UserID: row.UserID, SessionID: row.ID})
}

// refresh is Refresh, or Resume when the token is shared.
func (s *Service) refresh(ctx context.Context, text string, shared bool) (*Tokens, error) {
	ctx = viewer.AsSignIn(ctx)
	token, err := parseRefreshToken(text, s.keys)
	if err != nil {
		return nil, errNotSignedIn(err)
	}
	now, err := s.store.Now(ctx)
	if err != nil {
		return nil, unavailable("refresh", err)
	}
	var out refreshed
	err = s.store.InTx(ctx, func(tx *ent.Tx) error {
		if err := s.store.Lock(ctx, tx, sessionLock(token.session)); err != nil {
			return err
		}
		var err error
		out, err = s.refreshInTx(ctx, tx, presented{token, text, shared}, now)
		return err
	})
	if err != nil {
		return nil, unavailable("refresh", err)
	}
	if out.revoked {
		s.log.WarnContext(ctx, "refresh token reused", s.audit(ctx,
			slog.String("user_id", string(out.session.UserID)),
			slog.String("session_id", string(token.session)),
			slog.Int("generation", token.generation))...)
		s.publishRevoked(fact.Fact{Kind: fact.AccessRevoked, UserID: out.session.UserID, SessionID: token.session})
	}
	if out.refused != nil {
		if out.refused.Code == refusal.CodeRateLimited {
			s.logLimit(ctx, "refresh", out.refused.RetryAfter, out.session.UserID)
		}
		return nil, out.refused
	}
	return s.tokens(out.user, out.session, out.token, now)
}

func sessionLock(id pid.ID) string { return "auth-session:" + string(id) }

// presented is a refresh token as it came, and whether others may hold it too.
type presented struct {
	refreshToken
	as     string
	shared bool
}

// refreshInTx decides what becomes of a token, under the AuthSession's lock.
func (s *Service) refreshInTx(
	ctx context.Context, tx *ent.Tx, token presented, now time.Time,
) (refreshed, error) {
	row, err := tx.AuthSession.Query().Where(authsession.ID(token.session)).Only(ctx)
	if ent.IsNotFound(err) {
		return refreshed{refused: errNotSignedIn(errors.New("no such auth session"))}, nil
	}
	if err != nil {
		return refreshed{}, fmt.Errorf("read auth session: %w", err)
	}
	row = row.Unwrap()
	out := refreshed{session: row}
	hash := hashToken(token.as)
	live := hash == row.TokenHash && token.generation == row.Generation
	age := now.Sub(row.RotatedAt)
	repeat := row.PreviousHash != nil && hash == *row.PreviousHash && token.generation == row.Generation-1 &&
		(age <= s.cfg.Grace || !arrived(row))
	switch {
	case row.RevokedAt != nil:
		out.refused = errRevoked("auth session ended")
		return out, nil
	case !live && !repeat && token.generation >= row.Generation:
		// We made it, and the database does not know it: it was restored from an
		// older copy. That shows no theft.
		out.refused = errNotSignedIn(errors.New("refresh token from after a restore"))
		return out, nil
	case !live && !repeat:
		out.refused, out.revoked = errRevoked("refresh token reused"), true
		_, err := s.endSessions(ctx, tx, now, reasonReused, authsession.ID(row.ID))
		return out, err
	case !now.Before(row.ExpiresAt) || !now.Before(row.IdleExpiresAt):
		out.refused = errNotSignedIn(errors.New("auth session expired"))
		return out, nil
	}
	if out.user, err = tx.User.Get(ctx, row.UserID); err != nil {
		return refreshed{}, fmt.Errorf("read user: %w", err)
	}
	out.user = out.user.Unwrap()
	if out.user.DisabledAt != nil {
		out.refused = errRevoked("user disabled")
		return out, nil
	}
	switch {
	case repeat:
		if age > s.cfg.Grace {
			// Others who share the token have the grace anew.
			err := tx.AuthSession.Update().Where(authsession.ID(row.ID), authsession.UserID(row.UserID)).
				SetRotatedAt(now).Exec(ctx)
			if err != nil {
				return refreshed{}, fmt.Errorf("note late repeat: %w", err)
			}
		}
		return s.sameSuccessor(out, token.refreshToken)
	case token.shared && age <= 2*s.cfg.Grace:
		out.token = token.as
		if arrived(row) {
			return out, nil
		}
		return out, noteArrived(ctx, tx, row)
	}
	return s.rotate(ctx, tx, out, token.refreshToken, now)
}

// sameSuccessor gives the direct predecessor of a token that token again.
func (s *Service) sameSuccessor(out refreshed, token refreshToken) (refreshed, error) {
	key, ok := s.keys.find(out.session.KeyID)
	if !ok {
		out.refused = errNotSignedIn(errors.New("the family's key was removed"))
		return out, nil
	}
	out.token = token.successor(key).text(key)
	if hashToken(out.token) != out.session.TokenHash {
		return refreshed{}, errors.New("the recomputed successor is not the stored one")
	}
	return out, nil
}

// rotate replaces a token by its successor, unless that is done too often.
func (s *Service) rotate(
	ctx context.Context, tx *ent.Tx, out refreshed, token refreshToken, now time.Time,
) (refreshed, error) {
	row := out.session
	wait, err := s.countRefresh(ctx, tx, row.ID, now)
	if err != nil {
		return refreshed{}, err
	}
	if wait > 0 {
		out.refused = errRateLimited(wait, "refresh")
		return out, nil
	}
	kid, key := s.keys.current()
	next := token.successor(key)
	out.token = next.text(key)
	err = tx.AuthSession.Update().
		Where(authsession.ID(row.ID), authsession.UserID(row.UserID), authsession.Generation(row.Generation)).
		SetGeneration(next.generation).
		SetTokenHash(hashToken(out.token)).
		SetPreviousHash(row.TokenHash).
		SetKeyID(kid).
		SetRotatedAt(now).
		SetIdleExpiresAt(now.Add(s.cfg.RefreshIdle)).
		Exec(ctx)
	if err != nil {
		return refreshed{}, fmt.Errorf("rotate auth session: %w", err)
	}
	row.Generation = next.generation
	return out, nil
}

// arrived reports whether something that came with the live token has been used, the token
// itself or an access token. The first one has no predecessor that could ask for it.
func arrived(row *ent.AuthSession) bool {
	return row.Generation == 0 || (row.Received != nil && *row.Received >= row.Generation)
}

// noteArrived keeps that something has been used that came with the live token of row.
func noteArrived(ctx context.Context, tx *ent.Tx, row *ent.AuthSession) error {
	err := tx.AuthSession.Update().
		Where(authsession.ID(row.ID), authsession.UserID(row.UserID),
			authsession.Or(authsession.ReceivedIsNil(), authsession.ReceivedLT(row.Generation))).
		SetReceived(row.Generation).
		Exec(ctx)
	if err != nil {
		return fmt.Errorf("note arrival of tokens: %w", err)
	}
	return nil
}

// countRefresh counts a rotation, under the AuthSession's lock.
func (s *Service) countRefresh(ctx context.Context, tx *ent.Tx, id pid.ID, now time.Time) (time.Duration, error) {
	limit := s.throttle.refreshes(id)
	if limit == nil {
		return 0, nil
	}
	rows, err := throttleRows(ctx, tx.AuthThrottle, []string{limit.id})
	if err != nil {
		return 0, err
	}
	row := rows[limit.id]
	if wait := limit.wait(row, now); wait > 0 {
		return wait, nil
	}
	return 0, writeTally(ctx, tx, limit.id, row, limit.take(row, now), now)
}
