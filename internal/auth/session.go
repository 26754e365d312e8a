package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"parley/ent"
	"parley/ent/authsession"
	"parley/ent/predicate"
	"parley/ent/user"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/viewer"
)

const (
	// liveFor is how long an AuthSession that was found alive is believed to be,
	// where no revocation is heard.
	liveFor = 5 * time.Second
	// maxLive bounds the cache of such findings. When it is full it starts afresh.
	maxLive = 8192
)

// Tokens is what signing up, signing in and refreshing give. It prints as
// [redacted].
type Tokens struct {
	// AccessToken is a JWT that goes with every request.
	AccessToken string
	// RefreshToken is good for one call of Refresh.
	RefreshToken string
	// ExpiresAt is when AccessToken ends.
	ExpiresAt time.Time
	// ExpiresIn is how long that is from now on, for clients whose clock is wrong.
	ExpiresIn time.Duration
	// User is who signed in. It is for reading only.
	User *ent.User
}

// Format implements fmt.Formatter for every verb.
// fmt has no way to report an error.
func (Tokens) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedValue) }

// LogValue implements slog.LogValuer.
func (Tokens) LogValue() slog.Value { return slog.StringValue(redactedValue) }

// tokens makes the answer for an AuthSession. The access token never outlives it.
func (s *Service) tokens(u *ent.User, session *ent.AuthSession, refresh string, now time.Time) (*Tokens, error) {
	now = now.UTC()
	expires := now.Add(s.cfg.AccessTTL)
	if session.ExpiresAt.Before(expires) {
		expires = session.ExpiresAt
	}
	expires = expires.Truncate(time.Second) // As the token says it.
	access, err := s.access.sign(Principal{
		UserID: u.ID, SessionID: session.ID, Generation: session.Generation, ExpiresAt: expires,
	}, now)
	if err != nil {
		return nil, unavailable("sign", err)
	}
	return &Tokens{
		AccessToken: access, RefreshToken: refresh, ExpiresAt: expires, ExpiresIn: expires.Sub(now), User: u,
	}, nil
}

// Authenticate returns who the access token speaks for. It accepts our own tokens
// and those of the configured external issuers; a user of the latter gets a row at
// first sight. That an AuthSession is alive and a user enabled is believed for up
// to five seconds, less where a revocation is heard.
//
// It returns UNAUTHENTICATED (wrapping ErrExpired or ErrRevoked where that is the
// reason) and UNAVAILABLE when it cannot find out.
func (s *Service) Authenticate(ctx context.Context, accessToken string) (Principal, error) {
	ctx = viewer.AsSignIn(ctx)
	issuer, err := claimedIssuer(accessToken)
	if err != nil {
		return Principal{}, errNotSignedIn(err)
	}
	var p Principal
	if issuer == s.cfg.Issuer {
		p, err = s.access.verify(accessToken)
	} else if e, ok := s.external[issuer]; ok {
		p, err = s.authenticateExternal(ctx, e, accessToken)
	} else {
		err = errNotSignedIn(fmt.Errorf("%w: unknown issuer", errToken))
	}
	if err != nil {
		return Principal{}, err
	}
	if err := s.checkLive(ctx, p); err != nil {
		return Principal{}, err
	}
	return p, nil
}

// checkLive returns UNAUTHENTICATED unless the principal's AuthSession, if it has
// one, has not ended and its user is not disabled.
func (s *Service) checkLive(ctx context.Context, p Principal) error {
	// With the generation: the first use of what a refresh gave is not missed.
	key := string(p.UserID) + " " + string(p.SessionID) + " " + strconv.Itoa(p.Generation)
	start := s.cfg.Clock()
	if _, ok := s.live.get(key, start); ok {
		return nil
	}
	epoch := s.live.currentEpoch()
	if p.SessionID != "" {
		row, err := s.store.Client().AuthSession.Query().
			Where(authsession.ID(p.SessionID), authsession.UserID(p.UserID), authsession.RevokedAtIsNil(),
				// The leeway of tokens is none for it.
				authsession.ExpiresAtGT(s.store.Clock())).
			Select(authsession.FieldID, authsession.FieldUserID, authsession.FieldKeyID, authsession.FieldGeneration,
				authsession.FieldReceived).
			Only(ctx)
		if ent.IsNotFound(err) {
			return errRevoked("auth session ended")
		}
		if err != nil {
			return unavailable("check auth session", err)
		}
		if _, ok := s.keys.find(row.KeyID); !ok {
			return errRevoked("the family's key was removed")
		}
		// A generation that the row does not know yet is from before a restore.
		if p.Generation == row.Generation && !arrived(row) {
			err := s.store.InTx(ctx, func(tx *ent.Tx) error { return noteArrived(ctx, tx, row) })
			if err != nil {
				return unavailable("note the use of a token", err)
			}
		}
	}
	enabled, err := s.store.Client().User.Query().Where(user.ID(p.UserID), user.DisabledAtIsNil()).Exist(ctx)
	if err != nil {
		return unavailable("check user", err)
	}
	if !enabled {
		return errRevoked("user disabled")
	}
	s.live.put(key, p.UserID, start.Add(liveFor), epoch)
	return nil
}

// SignOut ends the principal's AuthSession at once. Signing out again does nothing.
// It returns FORBIDDEN for a principal of an external issuer, whose session is not
// ours to end, and UNAVAILABLE.
func (s *Service) SignOut(ctx context.Context, p Principal) error {
	if p.SessionID == "" {
		return refusal.Forbidden("Sign out where you signed in: this session belongs to an external issuer.")
	}
	ctx = viewer.AsSignIn(ctx)
	now, err := s.store.Now(ctx)
	if err != nil {
		return unavailable("sign out", err)
	}
	var ended int
	err = s.store.InTx(ctx, func(tx *ent.Tx) error {
		// A refresh under way ends first, or finds the AuthSession ended.
		if err := s.store.Lock(ctx, tx, sessionLock(p.SessionID)); err != nil {
			return err
		}
		var err error
		ended, err = s.endSessions(ctx, tx, now, reasonSignedOut, authsession.ID(p.SessionID),
			authsession.UserID(p.UserID))
		return err
	})
	if err != nil {
		return unavailable("sign out", err)
	}
	if ended > 0 {
		s.log.InfoContext(ctx, "signed out", s.audit(ctx,
			slog.String("user_id", string(p.UserID)), slog.String("session_id", string(p.SessionID)))...)
		s.publishRevoked(fact.Fact{Kind: fact.AccessRevoked, UserID: p.UserID, SessionID: p.SessionID})
	}
	return nil
}

// endSessions ends the AuthSessions that have not ended yet, and says how many.
func (s *Service) endSessions(
	ctx context.Context, tx *ent.Tx, now time.Time, reason string, which ...predicate.AuthSession,
) (int, error) {
	n, err := tx.AuthSession.Update().
		Where(authsession.RevokedAtIsNil()).Where(which...).
		SetRevokedAt(now).SetRevokedReason(reason).
		Save(ctx)
	if err != nil {
		return 0, fmt.Errorf("end auth sessions: %w", err)
	}
	return n, nil
}

// publishRevoked ends access here and tells the other replicas. Call it after the
// commit.
func (s *Service) publishRevoked(f fact.Fact) {
	s.hear(f)
	s.bus.Publish(f)
}

// hear forgets what was believed about whoever is revoked, and ends their contexts.
func (s *Service) hear(f fact.Fact) {
	if f.Kind != fact.AccessRevoked || f.UserID == "" {
		return
	}
	// In this order: a context bound in between is checked against the database.
	s.live.forget(f.UserID)
	s.bound.end(f.UserID, f.SessionID)
}

// Bind returns a context that ends when the principal's access token does, with the cause
// ErrExpired, or when its access is revoked, with the cause ErrRevoked. A token that has
// ended already, but is still accepted, ends when that does. Config.BindGrace comes on top.
// It is for work that outlives one check of the token: sockets and streams. If the access
// cannot be checked, the context has ended already, with the refusal as its cause. The
// caller must call the CancelFunc.
func (s *Service) Bind(ctx context.Context, p Principal) (context.Context, context.CancelFunc) {
	left := p.ExpiresAt.Sub(s.store.Clock())
	if left <= 0 {
		// Else whoever was just let in would be sent away, again and again.
		left += leeway
	}
	left += s.cfg.BindGrace
	b := &binding{principal: p, until: time.Now().Add(left), all: s.bound}
	b.Context, b.cancel = context.WithCancelCause(ctx)
	b.expiry = time.AfterFunc(left, func() { b.leave(ErrExpired) })
	s.bound.add(b)
	// After adding it: what was revoked before is found here, and what is revoked
	// from now on is heard.
	if err := s.checkLive(viewer.AsSignIn(b), p); err != nil && b.Err() == nil {
		if errors.Is(err, ErrRevoked) {
			err = ErrRevoked
		}
		b.end(err)
	}
	return b, func() { b.end(context.Canceled) }
}

// checkBound compares the bound contexts with the database.
func (s *Service) checkBound(ctx context.Context) error {
	ctx = viewer.AsSignIn(ctx)
	const batch = 500
	principals := s.bound.principals()
	for len(principals) > 0 {
		part := principals[:min(batch, len(principals))]
		principals = principals[len(part):]
		var sessions, users []pid.ID
		for _, p := range part {
			users = append(users, p.UserID)
			if p.SessionID != "" {
				sessions = append(sessions, p.SessionID)
			}
		}
		alive, err := s.store.Client().AuthSession.Query().
			Where(authsession.IDIn(sessions...), authsession.RevokedAtIsNil()).IDs(ctx)
		if err != nil {
			return unavailable("check bound auth sessions", err)
		}
		enabled, err := s.store.Client().User.Query().Where(user.IDIn(users...), user.DisabledAtIsNil()).IDs(ctx)
		if err != nil {
			return unavailable("check bound users", err)
		}
		good := make(map[pid.ID]bool)
		for _, id := range append(alive, enabled...) {
			good[id] = true
		}
		for _, p := range part {
			if !good[p.UserID] || (p.SessionID != "" && !good[p.SessionID]) {
				s.hear(fact.Fact{Kind: fact.AccessRevoked, UserID: p.UserID, SessionID: p.SessionID})
			}
		}
	}
	return nil
}

// liveCache remembers for a few seconds what was found alive.
type liveCache struct {
	mu sync.Mutex
	// epoch counts revocations, so that a finding from before one is not remembered
	// after it. Guarded by mu, as is found.
	epoch uint64
	found map[string]finding
}

type finding struct {
	user  pid.ID
	until time.Time
}

func newLiveCache() *liveCache { return &liveCache{found: make(map[string]finding)} }

func (c *liveCache) get(key string, now time.Time) (pid.ID, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.found[key]
	return f.user, ok && now.Before(f.until)
}

func (c *liveCache) currentEpoch() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.epoch
}

// put remembers a finding whose reading began in the given epoch.
func (c *liveCache) put(key string, userID pid.ID, until time.Time, epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch != c.epoch {
		return
	}
	if len(c.found) >= maxLive {
		clear(c.found)
	}
	c.found[key] = finding{user: userID, until: until}
}

// forget drops all findings about the user. Revocations are rare, so looking at
// every finding is cheap enough.
func (c *liveCache) forget(userID pid.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	for key, f := range c.found {
		if f.user == userID {
			delete(c.found, key)
		}
	}
}

func (c *liveCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	clear(c.found)
}

// binding is one context from Bind. Every open page has one: a context with a deadline, and
// a function that is called after it, would take three times as much.
type binding struct {
	context.Context
	cancel    context.CancelCauseFunc
	principal Principal
	until     time.Time
	expiry    *time.Timer // calls leave at that time
	all       *bindings
}

// Deadline implements context.Context.
func (b *binding) Deadline() (time.Time, bool) {
	if sooner, ok := b.Context.Deadline(); ok && sooner.Before(b.until) {
		return sooner, true
	}
	return b.until, true
}

// end ends the context, for the first cause that is given.
func (b *binding) end(cause error) {
	b.expiry.Stop()
	b.leave(cause)
}

func (b *binding) leave(cause error) {
	b.all.remove(b)
	b.cancel(cause)
}

// bindings holds the contexts from Bind that have not ended.
type bindings struct {
	mu sync.Mutex
	// byUser is guarded by mu.
	byUser map[pid.ID]map[*binding]struct{}
}

func newBindings() *bindings { return &bindings{byUser: make(map[pid.ID]map[*binding]struct{})} }

func (b *bindings) add(x *binding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	set := b.byUser[x.principal.UserID]
	if set == nil {
		set = make(map[*binding]struct{})
		b.byUser[x.principal.UserID] = set
	}
	set[x] = struct{}{}
}

func (b *bindings) remove(x *binding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	set := b.byUser[x.principal.UserID]
	delete(set, x)
	if len(set) == 0 {
		delete(b.byUser, x.principal.UserID)
	}
}

// end ends the contexts of one AuthSession, or of all a user has when it is empty.
func (b *bindings) end(userID, sessionID pid.ID) {
	b.mu.Lock()
	var found []*binding
	for x := range b.byUser[userID] {
		if sessionID == "" || x.principal.SessionID == sessionID {
			found = append(found, x)
		}
	}
	b.mu.Unlock()
	for _, x := range found {
		x.end(ErrRevoked) // Outside the lock: it may run other people's functions.
	}
}

// principals lists whose contexts are bound, each AuthSession once.
func (b *bindings) principals() []Principal {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []Principal
	for userID, set := range b.byUser {
		seen := make(map[pid.ID]bool)
		for x := range set {
			if id := x.principal.SessionID; !seen[id] {
				seen[id] = true
				list = append(list, Principal{UserID: userID, SessionID: id})
			}
		}
	}
	return list
}
