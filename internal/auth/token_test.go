package auth_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/internal/auth"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/store/storetest"
)

func encode(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// signed makes a token of any header and payload text with our key.
func signed(b *bundle, header, payload string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, b.keys.AccessKey())
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// A7.
func TestAccessTokenClaims(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t), nil)
	tokens := b.signUp(t.Context())
	token, _, err := jwt.NewParser().ParseUnverified(tokens.AccessToken, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	if token.Header["typ"] != "at+jwt" || token.Header["alg"] != "HS256" || token.Header["kid"] != b.keys.KeyIDs()[0] ||
		len(token.Header) != 3 {
		t.Errorf("header %v", token.Header)
	}
	claims := token.Claims.(jwt.MapClaims)
	for _, name := range []string{"iss", "aud", "sub", "sid", "gen", "iat", "exp", "jti"} {
		if claims[name] == nil {
			t.Errorf("no %s claim", name)
		}
	}
	if len(claims) != 8 {
		t.Errorf("claims %v, want eight", claims)
	}
	if ttl := claims["exp"].(float64) - claims["iat"].(float64); ttl != 900 {
		t.Errorf("good for %v s, want 900", ttl)
	}
}

// A8. Every token here but the first is refused; all but a few have a good
// signature, so that the check under test is what refuses them.
func TestTokenAttacks(t *testing.T) {
	t.Parallel()
	issuer := newIssuer(t)
	b := setup(t, storetest.SQLite(t), func(c *auth.Config) { c.External = []auth.ExternalIssuer{issuer.config()} })
	tokens := b.signUp(t.Context())
	p := b.principal(t.Context(), tokens)
	now := b.clock.Now().Unix()
	kid := b.keys.KeyIDs()[0]
	good := func() map[string]any {
		return map[string]any{
			"iss": b.cfg.Issuer, "aud": b.cfg.Audience, "sub": string(p.UserID), "sid": string(p.SessionID),
			"iat": now, "exp": now + 900, "jti": "x",
		}
	}
	with := func(changes map[string]any) map[string]any {
		c := good()
		for name, value := range changes {
			if value == nil {
				delete(c, name)
			} else {
				c[name] = value
			}
		}
		return c
	}
	at := map[string]any{"typ": "at+jwt"}
	forge := func(changes map[string]any) string { return b.keys.Forge(at, with(changes)) }
	header := func(changes map[string]any) string {
		h := maps.Clone(at)
		maps.Copy(h, changes)
		return b.keys.Forge(h, good())
	}
	if _, err := b.Authenticate(t.Context(), forge(nil)); err != nil {
		t.Fatalf("a forged good token: %v", err)
	}
	goodHeader := fmt.Sprintf(`{"alg":"HS256","typ":"at+jwt","kid":%q}`, kid)
	goodPayload, err := json.Marshal(good())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Authenticate(t.Context(), signed(b, goodHeader, string(goodPayload))); err != nil {
		t.Fatalf("a good token made by hand: %v", err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rs := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims(good()))
	rs.Header["typ"], rs.Header["kid"] = "at+jwt", kid
	rsSigned, err := rs.SignedString(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	hs512 := jwt.NewWithClaims(jwt.SigningMethodHS512, jwt.MapClaims(good()))
	hs512.Header["typ"], hs512.Header["kid"] = "at+jwt", kid
	hs512Signed, err := hs512.SignedString(b.keys.AccessKey())
	if err != nil {
		t.Fatal(err)
	}
	// HMAC with the issuer's public key as the secret.
	confused := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(issuer.claims(b.clock.Now(), "alice")))
	confused.Header["kid"] = "rsa"
	confusedSigned, err := confused.SignedString(issuer.rsa.N.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(tokens.AccessToken, ".")
	none := encode(map[string]any{"alg": "none", "typ": "at+jwt", "kid": kid}) + "." + encode(good()) + "."

	for name, token := range map[string]string{
		"empty":             "",
		"not a token":       "x",
		"two parts":         parts[0] + "." + parts[1],
		"four parts":        tokens.AccessToken + ".x",
		"many dots":         strings.Repeat(".", 8000),
		"no signature":      parts[0] + "." + parts[1] + ".",
		"another signature": parts[0] + "." + parts[1] + "." + strings.Repeat("A", 43),
		"alg none":          none,
		"alg None": encode(map[string]any{"alg": "None", "typ": "at+jwt", "kid": kid}) + "." +
			encode(good()) + ".",
		"alg none, signed":            header(map[string]any{"alg": "none"}),
		"alg RS256, signed with HMAC": header(map[string]any{"alg": "RS256"}),
		"alg missing":                 signed(b, fmt.Sprintf(`{"typ":"at+jwt","kid":%q}`, kid), string(goodPayload)),
		"HS512":                       hs512Signed,
		"RS256":                       rsSigned,
		"HMAC with the public key":    confusedSigned,
		"typ missing":                 signed(b, fmt.Sprintf(`{"alg":"HS256","kid":%q}`, kid), string(goodPayload)),
		"typ JWT":                     header(map[string]any{"typ": "JWT"}),
		"typ number":                  header(map[string]any{"typ": 1}),
		"kid unknown":                 header(map[string]any{"kid": "other"}),
		"kid missing":                 signed(b, `{"alg":"HS256","typ":"at+jwt"}`, string(goodPayload)),
		"kid number":                  header(map[string]any{"kid": 1}),
		"kid path":                    header(map[string]any{"kid": "../../../../dev/null"}),
		"kid SQL":                     header(map[string]any{"kid": "x' UNION SELECT 'a"}),
		"jku":                         header(map[string]any{"jku": "https://evil.example/jwks"}),
		"jwk":                         header(map[string]any{"jwk": map[string]any{"kty": "oct", "k": "AA"}}),
		"x5u":                         header(map[string]any{"x5u": "https://evil.example/cert"}),
		"crit":                        header(map[string]any{"crit": []string{"exp"}}),
		"b64":                         header(map[string]any{"b64": false}),
		"iss missing":                 forge(map[string]any{"iss": nil}),
		"iss other":                   forge(map[string]any{"iss": "https://evil.example"}),
		"iss list":                    forge(map[string]any{"iss": []string{b.cfg.Issuer}}),
		"iss upper case":              forge(map[string]any{"iss": nil, "ISS": b.cfg.Issuer}),
		"aud missing":                 forge(map[string]any{"aud": nil}),
		"aud other":                   forge(map[string]any{"aud": "other"}),
		"aud list":                    forge(map[string]any{"aud": []string{"other", b.cfg.Audience}}),
		"aud empty list":              forge(map[string]any{"aud": []string{}}),
		"aud number":                  forge(map[string]any{"aud": 7}),
		"exp missing":                 forge(map[string]any{"exp": nil}),
		"exp zero":                    forge(map[string]any{"exp": 0}),
		"exp text":                    forge(map[string]any{"exp": fmt.Sprint(now + 900)}),
		"exp null": signed(b, goodHeader,
			strings.Replace(string(goodPayload), fmt.Sprint(now+900), "null", 1)),
		"exp huge": signed(b, goodHeader,
			strings.Replace(string(goodPayload), fmt.Sprint(now+900), "1e300", 1)),
		"exp in capitals":        forge(map[string]any{"exp": nil, "EXP": now + 900}),
		"expired":                forge(map[string]any{"iat": now - 1020, "exp": now - 120}),
		"iat missing":            forge(map[string]any{"iat": nil}),
		"iat in the future":      forge(map[string]any{"iat": now + 121}),
		"iat text":               forge(map[string]any{"iat": "now"}),
		"nbf in the future":      forge(map[string]any{"nbf": now + 121}),
		"nbf text":               forge(map[string]any{"nbf": "now"}),
		"jti missing":            forge(map[string]any{"jti": nil}),
		"sub missing":            forge(map[string]any{"sub": nil}),
		"sub of another kind":    forge(map[string]any{"sub": string(p.SessionID)}),
		"sub of another user":    forge(map[string]any{"sub": string(pid.New(pid.User))}),
		"sid missing":            forge(map[string]any{"sid": nil}),
		"sid unknown":            forge(map[string]any{"sid": string(pid.New(pid.AuthSession))}),
		"sid wildcard":           forge(map[string]any{"sid": "aus_%"}),
		"a claim twice":          signed(b, goodHeader, `{"sub":"x",`+string(goodPayload)[1:]),
		"a header twice":         signed(b, `{"alg":"none",`+goodHeader[1:], string(goodPayload)),
		"a list as payload":      signed(b, goodHeader, "["+string(goodPayload)+"]"),
		"null as payload":        signed(b, goodHeader, "null"),
		"more after the payload": signed(b, goodHeader, string(goodPayload)+"{}"),
		"deep payload":           signed(b, goodHeader, strings.Repeat("[", 5000)),
		"padded":                 parts[0] + "=." + parts[1] + "." + parts[2],
		"huge":                   forge(map[string]any{"x": strings.Repeat("x", 8<<10)}),
		"the refresh token":      tokens.RefreshToken,
		"external, with our iss": issuer.token(issuer.claims(b.clock.Now(), "alice"),
			func(c map[string]any) { c["iss"] = b.cfg.Issuer }),
		"ours, with the external iss": forge(map[string]any{"iss": issuer.config().Issuer, "aud": issuer.config().
			Audience}),
	} {
		got, err := b.Authenticate(t.Context(), token)
		var e *refusal.Error
		if !errors.As(err, &e) || e.Code != refusal.CodeUnauthenticated {
			t.Errorf("%s: got %v, %v; want UNAUTHENTICATED", name, got, err)
		}
		if got != (auth.Principal{}) {
			t.Errorf("%s: a refused token gave %+v", name, got)
		}
		if name == "expired" && !errors.Is(err, auth.ErrExpired) {
			t.Errorf("%s: got %v, want ErrExpired", name, err)
		}
	}
	// Clocks that differ by less than the leeway do no harm.
	for name, changes := range map[string]map[string]any{
		"two minutes early": {"iat": now + 120, "nbf": now + 120},
		"two minutes late":  {"iat": now - 1019, "exp": now - 119},
	} {
		if _, err := b.Authenticate(t.Context(), forge(changes)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.clock.Advance(17*time.Minute - time.Second)
	b.principal(t.Context(), tokens)
	b.clock.Advance(time.Second)
	_, err = b.Authenticate(t.Context(), tokens.AccessToken)
	if wantCode(t, err, refusal.CodeUnauthenticated); !errors.Is(err, auth.ErrExpired) {
		t.Errorf("got %v, want ErrExpired", err)
	}
}
