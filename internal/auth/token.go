package auth

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/internal/pid"
)

const (
	// maxTokenBytes bounds what is parsed before anything is known about it.
	maxTokenBytes = 8 << 10
	// maxNames bounds the names in each part of a token. Issuers set ten or twenty.
	maxNames = 128
	// accessType is the typ header of our access tokens (RFC 9068).
	accessType = "at+jwt"
)

// accessTokens signs and verifies our own access tokens: HS256, nothing else.
type accessTokens struct {
	keys     *Keyring
	issuer   string
	audience string
	parser   *jwt.Parser
}

func newAccessTokens(keys *Keyring, issuer, audience string, clock func() time.Time) *accessTokens {
	return &accessTokens{
		keys: keys, issuer: issuer, audience: audience,
		parser: newParser(clock, []string{jwt.SigningMethodHS256.Alg()}, issuer, audience),
	}
}

// newParser is the one way a JWT parser is made here: everything the library
// leaves optional is required. clock is the one that all replicas share.
func newParser(clock func() time.Time, algorithms []string, issuer, audience string) *jwt.Parser {
	return jwt.NewParser(
		jwt.WithValidMethods(algorithms),
		jwt.WithIssuer(issuer),
		jwt.WithAudience(audience),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(leeway),
		jwt.WithTimeFunc(clock),
		jwt.WithStrictDecoding(),
	)
}

// sign returns an access token for what p says, until p.ExpiresAt.
func (a *accessTokens) sign(p Principal, issued time.Time) (string, error) {
	kid, key := a.keys.current()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": a.issuer,
		"aud": a.audience,
		"sub": string(p.UserID),
		"sid": string(p.SessionID),
		"gen": p.Generation,
		"iat": issued.Unix(),
		"exp": p.ExpiresAt.Unix(),
		"jti": rand.Text(),
	})
	token.Header["typ"] = accessType
	token.Header["kid"] = kid
	signed, err := token.SignedString(key.access)
	if err != nil {
		return "", fmt.Errorf("sign access token: %w", err)
	}
	return signed, nil
}

var errToken = errors.New("invalid access token")

// verify returns the principal of one of our access tokens. The principal is only
// there when the error is nil.
func (a *accessTokens) verify(raw string) (Principal, error) {
	token, err := a.parser.Parse(raw, func(t *jwt.Token) (any, error) {
		for name := range t.Header {
			// jku, jwk, x5u and crit among them: we never set them.
			if name != "alg" && name != "typ" && name != "kid" {
				return nil, fmt.Errorf("%w: unexpected header", errToken)
			}
		}
		if t.Header["typ"] != accessType {
			return nil, fmt.Errorf("%w: wrong type", errToken)
		}
		kid, _ := t.Header["kid"].(string)
		key, ok := a.keys.find(kid)
		if !ok {
			return nil, fmt.Errorf("%w: unknown key", errToken)
		}
		return key.access, nil
	})
	if err != nil {
		return Principal{}, tokenError(err)
	}
	claims, _ := token.Claims.(jwt.MapClaims)
	if _, ok := claims["aud"].(string); !ok { // We never set a list.
		return Principal{}, tokenError(errToken)
	}
	if jti, _ := claims["jti"].(string); jti == "" {
		return Principal{}, tokenError(errToken)
	}
	if _, ok := claims["iat"].(float64); !ok {
		return Principal{}, tokenError(errToken)
	}
	sub, _ := claims["sub"].(string)
	sid, _ := claims["sid"].(string)
	generation, _ := claims["gen"].(float64) // The version before had none.
	p := Principal{UserID: pid.ID(sub), SessionID: pid.ID(sid), Generation: int(generation)}
	if !p.UserID.Is(pid.User) || !p.SessionID.Is(pid.AuthSession) {
		return Principal{}, tokenError(errToken)
	}
	if p.ExpiresAt, err = expiry(claims); err != nil {
		return Principal{}, err
	}
	return p, nil
}

// expiry returns the exp claim, which the parser has found to be there and not too old.
func expiry(claims jwt.MapClaims) (time.Time, error) {
	exp, err := claims.GetExpirationTime()
	if err != nil || exp == nil {
		return time.Time{}, tokenError(errToken)
	}
	return exp.UTC(), nil
}

func tokenError(err error) error {
	// A bad signature comes first: nothing in such a token says anything.
	if errors.Is(err, jwt.ErrTokenExpired) && !errors.Is(err, jwt.ErrTokenSignatureInvalid) {
		return errTokenExpired(err)
	}
	return errNotSignedIn(err)
}

// claimedIssuer returns the iss claim of a token that nobody has verified. It only
// chooses who verifies. It refuses tokens that are too long or malformed, and
// those that say something twice: two readers might pick different ones.
func claimedIssuer(raw string) (string, error) {
	if len(raw) > maxTokenBytes {
		return "", fmt.Errorf("%w: too long", errToken)
	}
	parts := strings.SplitN(raw, ".", 4)
	if len(parts) != 3 {
		return "", fmt.Errorf("%w: not a JWT", errToken)
	}
	var issuer string
	for i, part := range parts[:2] {
		text, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil {
			return "", fmt.Errorf("%w: not base64url", errToken)
		}
		if err := checkUnique(text); err != nil {
			return "", err
		}
		if i == 1 {
			var claims map[string]any
			if err := json.Unmarshal(text, &claims); err != nil {
				return "", fmt.Errorf("%w: not JSON", errToken)
			}
			issuer, _ = claims["iss"].(string)
		}
	}
	return issuer, nil
}

// checkUnique refuses text that is not one JSON object with distinct names.
func checkUnique(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return fmt.Errorf("%w: not a JSON object", errToken)
	}
	seen := make(map[string]bool)
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return fmt.Errorf("%w: not JSON", errToken)
		}
		text, ok := name.(string)
		if !ok || seen[text] || len(seen) == maxNames {
			return fmt.Errorf("%w: a name is there twice, or there are too many", errToken)
		}
		seen[text] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return fmt.Errorf("%w: not JSON", errToken)
		}
	}
	return nil
}
