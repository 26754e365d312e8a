package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"parley/ent"
	"parley/ent/user"
	"parley/internal/refusal"
	"parley/internal/text"
)

const maxSubjectBytes = 255

// ExternalIssuer is somebody else whose access tokens are accepted. Its users are
// known by (iss, sub), never by e-mail address.
type ExternalIssuer struct {
	// Issuer is the exact iss claim.
	Issuer string
	// Audience must be in the aud claim.
	Audience string
	// JWKSURL is where its keys are. It must be https, except on loopback hosts.
	JWKSURL string
	// Algorithms it may sign with: RS256, RS384, RS512, PS256, PS384, PS512, ES256,
	// ES384, EdDSA. Empty means RS256, the default of OpenID Connect.
	Algorithms []string
	// Types are the typ headers accepted, in any case. Empty means at+jwt and JWT. An
	// issuer that sets none needs an empty string in the list.
	Types []string
}

// AsymmetricAlgorithms returns all that an ExternalIssuer may sign with.
func AsymmetricAlgorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"}
}

func (e ExternalIssuer) validate() error {
	var errs []error
	if e.Issuer == "" || e.Audience == "" {
		errs = append(errs, fmt.Errorf("auth: external issuer %q: issuer and audience are required", e.Issuer))
	}
	if err := checkKeySetURL(e.JWKSURL); err != nil {
		errs = append(errs, fmt.Errorf("auth: external issuer %q: %w", e.Issuer, err))
	}
	for _, alg := range e.Algorithms {
		if !slices.Contains(AsymmetricAlgorithms(), alg) {
			errs = append(errs, fmt.Errorf("auth: external issuer %q: algorithm %q is not one of %s", e.Issuer, alg,
				strings.Join(AsymmetricAlgorithms(), ", ")))
		}
	}
	return errors.Join(errs...)
}

func checkKeySetURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("the key set URL must have the form https://host/path")
	}
	if u.Scheme == "https" || (u.Scheme == "http" && isLoopback(u.Hostname())) {
		return nil
	}
	return errors.New("the key set URL must be https, except on a loopback host")
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// externalIssuer verifies the tokens of one issuer.
type externalIssuer struct {
	cfg    ExternalIssuer
	keys   *keySet
	parser *jwt.Parser
}

// newExternalIssuer takes two clocks: shared, of all replicas, for what tokens claim, and
// own, for the age of what was fetched.
func newExternalIssuer(
	cfg ExternalIssuer, transport http.RoundTripper, shared, own func() time.Time,
) *externalIssuer {
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = []string{"RS256"}
	}
	if len(cfg.Types) == 0 {
		cfg.Types = []string{"at+jwt", "JWT"}
	}
	return &externalIssuer{
		cfg:    cfg,
		keys:   newKeySet(cfg.JWKSURL, transport, own),
		parser: newParser(shared, cfg.Algorithms, cfg.Issuer, cfg.Audience),
	}
}

// identity is what a verified token of an external issuer says.
type identity struct {
	subject   string
	email     string // For display only; "" when the token has none.
	name      string
	expiresAt time.Time
}

// verify returns the identity a token of this issuer speaks for. It may fetch the
// issuer's keys.
func (e *externalIssuer) verify(ctx context.Context, raw string) (identity, error) {
	var keyErr error
	token, err := e.parser.Parse(raw, func(t *jwt.Token) (any, error) {
		// A header that must be understood, and is not. jku, jwk and x5u are ignored:
		// keys come from the configured URL only.
		if _, ok := t.Header["crit"]; ok {
			return nil, fmt.Errorf("%w: critical header", errToken)
		}
		typ, _ := t.Header["typ"].(string)
		if !slices.ContainsFunc(e.cfg.Types, func(s string) bool { return strings.EqualFold(s, typ) }) {
			return nil, fmt.Errorf("%w: wrong type", errToken)
		}
		kid, ok := t.Header["kid"].(string)
		if _, present := t.Header["kid"]; present && !ok {
			return nil, fmt.Errorf("%w: kid is not text", errToken)
		}
		var key any
		key, keyErr = e.keys.find(ctx, kid, t.Method.Alg())
		return key, keyErr
	})
	if unreachable, ok := refusal.As(keyErr); ok {
		return identity{}, unreachable
	}
	if err != nil {
		return identity{}, tokenError(err)
	}
	claims, _ := token.Claims.(jwt.MapClaims)
	id := identity{email: displayClaim(claims, "email", maxEmailBytes), name: displayClaim(claims, "name", maxNameLen)}
	id.subject, _ = claims["sub"].(string)
	if id.subject == "" || len(id.subject) > maxSubjectBytes || strings.ContainsRune(id.subject, 0) ||
		!utf8.ValidString(id.subject) {
		return identity{}, tokenError(fmt.Errorf("%w: no usable subject", errToken))
	}
	if id.expiresAt, err = expiry(claims); err != nil {
		return identity{}, err
	}
	return id, nil
}

// displayClaim returns a claim cut to what we show: one line of at most max characters.
func displayClaim(claims jwt.MapClaims, name string, maxRunes int) string {
	claim, _ := claims[name].(string)
	return text.Cut(text.Line(claim), maxRunes)
}

// authenticateExternal returns the principal of a token of an external issuer, and
// makes the user at first sight.
func (s *Service) authenticateExternal(ctx context.Context, e *externalIssuer, raw string) (Principal, error) {
	id, err := e.verify(ctx, raw)
	if err != nil {
		return Principal{}, err
	}
	p := Principal{ExpiresAt: id.expiresAt}
	key := "external " + e.cfg.Issuer + "\x00" + id.subject
	start := s.cfg.Clock()
	if userID, ok := s.live.get(key, start); ok {
		p.UserID = userID
		return p, nil
	}
	epoch := s.live.currentEpoch()
	u, err := s.externalUser(ctx, e.cfg.Issuer, id)
	if err != nil {
		return Principal{}, err
	}
	s.live.put(key, u.ID, start.Add(liveFor), epoch)
	p.UserID = u.ID
	return p, nil
}

// externalUser finds or makes the user of (iss, sub). Whether it is disabled is
// checked with every principal.
func (s *Service) externalUser(ctx context.Context, issuer string, id identity) (*ent.User, error) {
	find := func() (*ent.User, error) {
		return s.store.Client().User.Query().Where(user.Issuer(issuer), user.Subject(id.subject)).Only(ctx)
	}
	u, err := find()
	if ent.IsNotFound(err) {
		create := s.store.Client().User.Create().SetIssuer(issuer).SetSubject(id.subject).SetName(id.name)
		if id.email != "" {
			create.SetExternalEmail(id.email)
		}
		u, err = create.Save(ctx)
		if ent.IsConstraintError(err) {
			return orUnavailable(find()) // Somebody else's request was faster.
		}
		if err == nil {
			s.log.InfoContext(ctx, "external user added", s.audit(ctx,
				slog.String("user_id", string(u.ID)), slog.String("issuer", issuer))...)
		}
	}
	if err != nil {
		return nil, unavailable("external user", err)
	}
	if id.email != "" && (u.ExternalEmail == nil || *u.ExternalEmail != id.email) {
		if err := s.store.Client().User.Update().Where(user.ID(u.ID)).SetExternalEmail(id.email).Exec(ctx); err != nil {
			return nil, unavailable("external user", err)
		}
	}
	return u, nil
}

func orUnavailable(u *ent.User, err error) (*ent.User, error) {
	if err != nil {
		return nil, unavailable("external user", err)
	}
	return u, nil
}
