package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"parley/internal/auth"
	"parley/internal/refusal"
	"parley/internal/viewer"
	"parley/internal/waittest"
)

// issuer is an external issuer on a loopback address.
type issuer struct {
	t       *testing.T
	server  *httptest.Server
	rsa     *rsa.PrivateKey
	fetches atomic.Int64

	mu sync.Mutex
	// answer writes the key set. Guarded by mu.
	answer http.HandlerFunc
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func rsaJWK(kid string, key *rsa.PublicKey) map[string]any {
	return map[string]any{"kty": "RSA", "kid": kid, "use": "sig", "n": b64(key.N.Bytes()),
		"e": b64(big.NewInt(int64(key.E)).Bytes())}
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, rsa: key}
	i.serve(rsaJWK("rsa", &key.PublicKey))
	i.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.fetches.Add(1)
		i.mu.Lock()
		answer := i.answer
		i.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(i.server.Close)
	return i
}

func (i *issuer) serve(keys ...map[string]any) {
	if keys == nil {
		keys = []map[string]any{}
	}
	i.setAnswer(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys}) // The client notices.
	})
}

func (i *issuer) setAnswer(f http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = f
}

func (i *issuer) config() auth.ExternalIssuer {
	return auth.ExternalIssuer{
		Issuer: "https://issuer.test/", Audience: "parley-api", JWKSURL: i.server.URL,
		Algorithms: []string{"RS256", "PS256", "ES256", "ES384", "EdDSA"},
	}
}

func (i *issuer) claims(now time.Time, subject string) map[string]any {
	return map[string]any{
		"iss": "https://issuer.test/", "aud": []string{"other", "parley-api"}, "sub": subject,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

func (i *issuer) token(claims map[string]any, change func(map[string]any)) string {
	if change != nil {
		change(claims)
	}
	return signWith(i.t, jwt.SigningMethodRS256, i.rsa, "rsa", claims)
}

func signWith(t *testing.T, method jwt.SigningMethod, key crypto.PrivateKey, kid string, claims map[string]any) string {
	t.Helper()
	token := jwt.NewWithClaims(method, jwt.MapClaims(claims))
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// eachExternal runs the test with a fake issuer; only the first replica fetches in
// the background, so it is not started here.
func eachExternal(t *testing.T, test func(t *testing.T, b *bundle, i *issuer)) {
	each(t, nil, func(t *testing.T, b *bundle) {
		i := newIssuer(t)
		b.cfg.External = []auth.ExternalIssuer{i.config()}
		b.Service = b.unstarted()
		test(t, b, i)
	})
}

func (b *bundle) unstarted() *auth.Service {
	b.t.Helper()
	s, err := auth.New(b.cfg, b.store, b.bus, b.keys, discard())
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func TestExternalUsers(t *testing.T) {
	eachExternal(t, func(t *testing.T, b *bundle, i *issuer) {
		ctx := t.Context()
		local, err := b.AddUser(admin(ctx), "alice@example.org", "Local Alice", goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		token := i.token(i.claims(b.clock.Now(), "alice"), func(c map[string]any) {
			c["email"], c["name"], c["email_verified"] = "alice@example.org", "Al\nice", true
		})
		// At first sight by many at once, on two replicas: one row.
		other := b.unstarted()
		var wg sync.WaitGroup
		principals := make([]auth.Principal, 16)
		for n := range principals {
			wg.Go(func() {
				var err error
				if principals[n], err = []*auth.Service{b.Service, other}[n%2].Authenticate(ctx, token); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		p := principals[0]
		for _, q := range principals {
			if q != p {
				t.Fatalf("one subject became %v and %v", p, q)
			}
		}
		if p.UserID == local.ID {
			t.Fatal("the e-mail claim led to somebody else's account")
		}
		if p.SessionID != "" || !p.ExpiresAt.Equal(b.clock.Now().Add(time.Hour)) {
			t.Errorf("got %+v, want no session and the token's expiry", p)
		}
		u := b.store.Client().User.GetX(viewer.AsSignIn(ctx), p.UserID)
		if u.Email != nil || *u.ExternalEmail != "alice@example.org" || u.Name != "Al ice" || u.PasswordHash != nil {
			t.Errorf("got %v, want the claims for display only", u)
		}
		// The same subject at another issuer, and another subject here, are others.
		bob, err := b.Authenticate(ctx, i.token(i.claims(b.clock.Now(), "bob"), nil))
		if err != nil || bob.UserID == p.UserID {
			t.Fatalf("got %v, %v; want another user", bob, err)
		}
		wantCode(t, b.SignOut(ctx, p), refusal.CodeForbidden)
		wantCode(t, b.ChangePassword(ctx, p, goodPassword, otherPassword), refusal.CodeForbidden)

		socket, cancel := b.Bind(ctx, p)
		defer cancel()
		if err := b.SetDisabled(admin(ctx), string(p.UserID), true); err != nil {
			t.Fatal(err)
		}
		wantEnd(t, socket, auth.ErrRevoked)
		_, err = b.Authenticate(ctx, token)
		wantCode(t, err, refusal.CodeUnauthenticated)
		b.clock.Advance(5 * time.Second)
		_, err = other.Authenticate(ctx, token)
		wantCode(t, err, refusal.CodeUnauthenticated)
	})
}

func TestExternalRefuses(t *testing.T) {
	eachExternal(t, func(t *testing.T, b *bundle, i *issuer) {
		now := b.clock.Now()
		ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		stranger, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		for name, token := range map[string]string{
			"another audience": i.token(i.claims(now, "a"), func(c map[string]any) { c["aud"] = "other" }),
			"no audience":      i.token(i.claims(now, "a"), func(c map[string]any) { delete(c, "aud") }),
			"no expiry":        i.token(i.claims(now, "a"), func(c map[string]any) { delete(c, "exp") }),
			"expired":          i.token(i.claims(now.Add(-2*time.Hour), "a"), nil),
			"not yet": i.token(i.claims(now, "a"),
				func(c map[string]any) { c["nbf"] = now.Add(121 * time.Second).Unix() }),
			"no subject":          i.token(i.claims(now, "a"), func(c map[string]any) { delete(c, "sub") }),
			"subject of a number": i.token(i.claims(now, "a"), func(c map[string]any) { c["sub"] = 7 }),
			"subject with NUL":    i.token(i.claims(now, "a\x00b"), nil),
			"long subject":        i.token(i.claims(now, strings.Repeat("a", 256)), nil),
			"another issuer": i.token(i.claims(now, "a"),
				func(c map[string]any) { c["iss"] = "https://issuer.test" }),
			"a stranger's key":     signWith(t, jwt.SigningMethodRS256, stranger, "rsa", i.claims(now, "a")),
			"an algorithm not set": signWith(t, jwt.SigningMethodRS512, i.rsa, "rsa", i.claims(now, "a")),
			"EC with the RSA kid":  signWith(t, jwt.SigningMethodES384, ec, "rsa", i.claims(now, "a")),
			"none": signWith(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "rsa",
				i.claims(now, "a")),
		} {
			_, err := b.Authenticate(t.Context(), token)
			if e := wantCode(t, err, refusal.CodeUnauthenticated); e.Message == "" {
				t.Errorf("%s: no message", name)
			}
		}
		typed := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims(i.claims(now, "a")))
		typed.Header["kid"] = "rsa"
		for _, change := range []func(){
			func() { typed.Header["typ"] = "dpop+jwt" },
			func() { delete(typed.Header, "typ") },
			func() { typed.Header["typ"], typed.Header["crit"] = "JWT", []string{"exp"} },
			func() { delete(typed.Header, "crit"); typed.Header["kid"] = 7 },
		} {
			change()
			text, err := typed.SignedString(i.rsa)
			if err != nil {
				t.Fatal(err)
			}
			_, err = b.Authenticate(t.Context(), text)
			wantCode(t, err, refusal.CodeUnauthenticated)
		}
		if n := b.store.Client().User.Query().CountX(viewer.AsSignIn(t.Context())); n != 0 {
			t.Errorf("refused tokens made %d users", n)
		}
		// Its clock and ours may differ by two minutes.
		for _, d := range []time.Duration{119 * time.Second, -119*time.Second - 15*time.Minute} {
			claims := i.claims(now, "a")
			claims["iat"], claims["exp"] = now.Add(d).Unix(), now.Add(d+15*time.Minute).Unix()
			if _, err := b.Authenticate(t.Context(), i.token(claims, nil)); err != nil {
				t.Errorf("made %v from now: %v", d, err)
			}
		}
	})
}

// A15: rotation, removal, and a flood of unknown kids.
func TestKeySetRotation(t *testing.T) {
	eachExternal(t, func(t *testing.T, b *bundle, i *issuer) {
		ctx := t.Context()
		old := i.token(i.claims(b.clock.Now(), "a"),
			func(c map[string]any) { c["exp"] = b.clock.Now().Add(24 * time.Hour).Unix() })
		if _, err := b.Authenticate(ctx, old); err != nil {
			t.Fatal(err)
		}
		next, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		i.serve(rsaJWK("next", &next.PublicKey))
		fresh := signWith(t, jwt.SigningMethodRS256, next, "next", i.claims(b.clock.Now(), "a"))
		_, err = b.Authenticate(ctx, fresh) // Within a minute of the last fetch.
		wantCode(t, err, refusal.CodeUnauthenticated)
		b.clock.Advance(time.Minute)
		if _, err := b.Authenticate(ctx, fresh); err != nil {
			t.Fatal(err)
		}
		// CVE-2025-22149: what is gone from the set is gone here.
		_, err = b.Authenticate(ctx, old)
		wantCode(t, err, refusal.CodeUnauthenticated)
		if got := i.fetches.Load(); got != 2 {
			t.Errorf("%d fetches, want 2", got)
		}
		// Without any unknown kid, a withdrawn key ends within the hour.
		i.serve()
		b.clock.Advance(59 * time.Minute)
		fresh = signWith(t, jwt.SigningMethodRS256, next, "next", i.claims(b.clock.Now(), "a"))
		if _, err := b.Authenticate(ctx, fresh); err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(time.Minute)
		_, err = b.Authenticate(ctx, fresh)
		wantCode(t, err, refusal.CodeUnauthenticated)
	})
}

func TestUnknownKidFlood(t *testing.T) {
	eachExternal(t, func(t *testing.T, b *bundle, i *issuer) {
		var wg sync.WaitGroup
		claims := i.claims(b.clock.Now(), "a")
		for n := range 8 {
			wg.Go(func() {
				for m := range 125 {
					token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims(claims))
					token.Header["kid"] = fmt.Sprintf("%d-%d", n, m)
					text, err := token.SigningString()
					if err != nil {
						t.Error(err)
						return
					}
					if _, err = b.Authenticate(t.Context(), text+".AAAA"); err == nil {
						t.Error("accepted")
					}
				}
			})
		}
		wg.Wait()
		if got := i.fetches.Load(); got > 2 {
			t.Errorf("%d fetches, want at most 2", got)
		}
	})
}

// A key set that cannot be had, or is not what it should be, is UNAVAILABLE, and
// soon asked for again.
func TestBadKeySets(t *testing.T) {
	eachExternal(t, func(t *testing.T, b *bundle, i *issuer) {
		elsewhere := newIssuer(t)
		elsewhere.serve(rsaJWK("rsa", &i.rsa.PublicKey))
		good := i.answer
		token := func() string { return i.token(i.claims(b.clock.Now(), "a"), nil) }
		for name, answer := range map[string]http.HandlerFunc{
			"status": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
			"redirect": func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, elsewhere.server.URL, http.StatusFound)
			},
			"not JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
			"no keys":  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) },
			"too large": func(w http.ResponseWriter, r *http.Request) {
				_, _ = w.Write([]byte(strings.Repeat(" ", 1<<20)))
				good(w, r)
			},
		} {
			i.setAnswer(answer)
			_, err := b.Authenticate(t.Context(), token())
			if e := wantCode(t, err, refusal.CodeUnavailable); e.Err == nil {
				t.Errorf("%s: no cause", name)
			}
			before := i.fetches.Load()
			_, err = b.Authenticate(t.Context(), token())
			wantCode(t, err, refusal.CodeUnavailable)
			if i.fetches.Load() != before {
				t.Errorf("%s: asked again at once", name)
			}
			b.clock.Advance(10 * time.Second)
		}
		if elsewhere.fetches.Load() != 0 {
			t.Error("a redirect was followed")
		}
		i.setAnswer(good)
		if _, err := b.Authenticate(t.Context(), token()); err != nil {
			t.Fatal(err)
		}
		// Good keys are used while they are young enough, and not after.
		i.setAnswer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
		b.clock.Advance(59 * time.Minute)
		if _, err := b.Authenticate(t.Context(), token()); err != nil {
			t.Fatal(err)
		}
		b.clock.Advance(time.Minute)
		_, err := b.Authenticate(t.Context(), token())
		wantCode(t, err, refusal.CodeUnavailable)
	})
}

func TestKeyKinds(t *testing.T) {
	eachExternal(t, func(t *testing.T, b *bundle, i *issuer) {
		p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		edPublic, ed, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		weak, err := rsa.GenerateKey(rand.Reader, 1024)
		if err != nil {
			t.Skipf("no weak key to test with: %v", err)
		}
		ecJWK := func(kid, crv string, key *ecdsa.PublicKey) map[string]any {
			point, err := key.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			half := len(point) / 2
			return map[string]any{"kty": "EC", "kid": kid, "crv": crv, "x": b64(point[1 : 1+half]),
				"y": b64(point[1+half:])}
		}
		off := ecJWK("off the curve", "P-256", &p256.PublicKey)
		off["x"] = off["y"]
		enc := rsaJWK("for encryption", &i.rsa.PublicKey)
		enc["use"] = "enc"
		pinned := rsaJWK("pinned", &i.rsa.PublicKey)
		pinned["alg"] = "PS256"
		i.serve(
			rsaJWK("rsa", &i.rsa.PublicKey), ecJWK("p256", "P-256", &p256.PublicKey),
			ecJWK("p384", "P-384", &p384.PublicKey),
			map[string]any{"kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": b64(edPublic)},
			map[string]any{"kty": "oct", "kid": "oct", "k": b64([]byte("0123456789abcdef"))},
			map[string]any{"kty": "RSA", "kid": 7}, off, enc, pinned, rsaJWK("weak", &weak.PublicKey),
		)
		claims := i.claims(b.clock.Now(), "a")
		for name, c := range map[string]struct {
			token string
			good  bool
		}{
			"RSA":             {signWith(t, jwt.SigningMethodRS256, i.rsa, "rsa", claims), true},
			"RSA PSS":         {signWith(t, jwt.SigningMethodPS256, i.rsa, "rsa", claims), true},
			"P-256":           {signWith(t, jwt.SigningMethodES256, p256, "p256", claims), true},
			"P-384":           {signWith(t, jwt.SigningMethodES384, p384, "p384", claims), true},
			"Ed25519":         {signWith(t, jwt.SigningMethodEdDSA, ed, "ed", claims), true},
			"only of a kind":  {signWith(t, jwt.SigningMethodEdDSA, ed, "", claims), true},
			"one of two":      {signWith(t, jwt.SigningMethodPS256, i.rsa, "", claims), false},
			"pinned alg":      {signWith(t, jwt.SigningMethodPS256, i.rsa, "pinned", claims), true},
			"another alg":     {signWith(t, jwt.SigningMethodRS256, i.rsa, "pinned", claims), false},
			"for encryption":  {signWith(t, jwt.SigningMethodRS256, i.rsa, "for encryption", claims), false},
			"off the curve":   {signWith(t, jwt.SigningMethodES256, p256, "off the curve", claims), false},
			"weak":            {signWith(t, jwt.SigningMethodRS256, weak, "weak", claims), false},
			"shared secret":   {signWith(t, jwt.SigningMethodHS256, []byte("0123456789abcdef"), "oct", claims), false},
			"kid of another":  {signWith(t, jwt.SigningMethodES256, p256, "ed", claims), false},
			"kid from a path": {signWith(t, jwt.SigningMethodRS256, i.rsa, "../rsa", claims), false},
		} {
			_, err := b.Authenticate(t.Context(), c.token)
			if (err == nil) != c.good {
				t.Errorf("%s: got %v, want accepted: %t", name, err, c.good)
			}
		}
	})
}

// Start fetches the keys, so that the first request need not.
func TestKeysAreFetchedAtStart(t *testing.T) {
	eachExternal(t, func(t *testing.T, b *bundle, i *issuer) {
		fetched := make(chan struct{}, 1)
		good := i.answer
		i.setAnswer(func(w http.ResponseWriter, r *http.Request) {
			good(w, r)
			fetched <- struct{}{}
		})
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Stop)
		select {
		case <-fetched:
		case <-time.After(waittest.Limit):
			t.Fatal("nothing was fetched")
		}
	})
}
