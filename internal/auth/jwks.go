package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	keySetTimeout  = 5 * time.Second
	maxKeySetBytes = 1 << 20
	maxKeySetKeys  = 100
	// keySetMaxAge is how long fetched keys are trusted. Older ones are not used,
	// even if no newer ones can be had: one of them may have been withdrawn.
	keySetMaxAge = time.Hour
	// keySetRefresh leaves room for several tries before keySetMaxAge.
	keySetRefresh = 15 * time.Minute
	// unknownKeyEvery is how often a key we do not have makes us look again.
	unknownKeyEvery = time.Minute
	// staleKeysEvery is how often we look again when there are no keys to use.
	staleKeysEvery = 10 * time.Second
)

// keySet holds the public keys of an external issuer. It is fetched whole and
// replaced whole: a key that is no longer there is no longer trusted. It is read
// here rather than by a library because what matters is exactly that, together
// with when it is fetched, and the rest is three kinds of keys.
type keySet struct {
	url    string
	client *http.Client
	clock  func() time.Time

	mu sync.Mutex
	// keys is replaced, never changed. Guarded by mu, as all that follows.
	keys      []publicKey
	fetchedAt time.Time // Zero until the first success.
	triedAt   time.Time
	// flight is closed when the fetch under way ends; nil when there is none.
	flight chan struct{}
	// lastErr is how the last fetch ended.
	lastErr error
}

// publicKey is one key of a set.
type publicKey struct {
	kid string
	alg string // "" when the set does not say.
	key crypto.PublicKey
}

func newKeySet(url string, transport http.RoundTripper, clock func() time.Time) *keySet {
	if transport == nil {
		t := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2: true}
		t.DisableKeepAlives = true // It is used a few times an hour.
		transport = t
	}
	return &keySet{
		url:   url,
		clock: clock,
		client: &http.Client{
			Transport: transport,
			Timeout:   keySetTimeout,
			// The URL was pinned by the operator; another one was not.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

var errUnknownKey = errors.New("no such key in the issuer's key set")

// find returns the key for a token's kid and algorithm. It fetches the set when it
// is missing, too old, or does not have the key, within the limits above. It
// returns errUnknownKey, or UNAVAILABLE when there is no set to look in.
func (k *keySet) find(ctx context.Context, kid, alg string) (crypto.PublicKey, error) {
	for tried := false; ; tried = true {
		k.mu.Lock()
		now := k.clock()
		fresh := !k.fetchedAt.IsZero() && now.Sub(k.fetchedAt) < keySetMaxAge
		if fresh {
			if key, ok := pick(k.keys, kid, alg); ok {
				k.mu.Unlock()
				return key, nil
			}
		}
		again := staleKeysEvery
		if fresh {
			again = unknownKeyEvery
		}
		if flight := k.flight; flight != nil && !tried {
			k.mu.Unlock()
			select {
			case <-flight:
				continue
			case <-ctx.Done():
				return nil, unavailable("wait for key set", ctx.Err())
			}
		}
		if tried || k.flight != nil || (!k.triedAt.IsZero() && now.Sub(k.triedAt) < again) {
			err := k.lastErr
			k.mu.Unlock()
			if fresh {
				return nil, errUnknownKey
			}
			if err == nil {
				err = errors.New("the key set is too old")
			}
			return nil, unavailable("fetch key set", err)
		}
		done := k.begin(now)
		k.mu.Unlock()
		k.fetchInto(ctx, done)
	}
}

// begin marks a fetch as under way. k.mu is held.
func (k *keySet) begin(now time.Time) chan struct{} {
	k.flight = make(chan struct{})
	k.triedAt = now
	return k.flight
}

// fetchInto does the fetch that begin announced. It outlives the request that
// happened to start it, within its own time limit: others wait for it.
func (k *keySet) fetchInto(ctx context.Context, done chan struct{}) {
	keys, err := k.fetch(context.WithoutCancel(ctx))
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		// Counted from the start of the fetch: what it says may be as old as that.
		k.keys, k.fetchedAt = keys, k.triedAt
	}
	k.lastErr = err
	k.flight = nil
	close(done)
}

// keepFresh fetches the set now and then, so that requests seldom wait for it. It
// returns when ctx ends.
func (k *keySet) keepFresh(ctx context.Context, log *slog.Logger) {
	for {
		k.mu.Lock()
		var done chan struct{}
		if k.flight == nil {
			done = k.begin(k.clock())
		}
		k.mu.Unlock()
		wait := keySetRefresh
		if done != nil {
			k.fetchInto(ctx, done)
			k.mu.Lock()
			err := k.lastErr
			k.mu.Unlock()
			if err != nil {
				wait = unknownKeyEvery
				log.WarnContext(ctx, "key set not fetched", slog.String("url", k.url), slog.Any("err", err))
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (k *keySet) fetch(ctx context.Context) ([]publicKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := k.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch key set: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // Only read.
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch key set: status %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxKeySetBytes+1))
	if err != nil {
		return nil, fmt.Errorf("fetch key set: %w", err)
	}
	if len(body) > maxKeySetBytes {
		return nil, errors.New("fetch key set: larger than 1 MiB")
	}
	return parseKeySet(body)
}

// pick returns the one key that may verify a token with this kid and algorithm. A
// token without a kid is for the only key of its kind.
func pick(keys []publicKey, kid, alg string) (crypto.PublicKey, bool) {
	var found []crypto.PublicKey
	for _, k := range keys {
		if (kid == "" || k.kid == kid) && (k.alg == "" || k.alg == alg) && fits(k.key, alg) {
			found = append(found, k.key)
		}
	}
	if len(found) != 1 {
		return nil, false
	}
	return found[0], true
}

// fits reports whether the key is of the kind the algorithm is for.
func fits(key crypto.PublicKey, alg string) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return (alg == "ES256" && key.Curve == elliptic.P256()) || (alg == "ES384" && key.Curve == elliptic.P384())
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}

// jwk is a JSON Web Key (RFC 7517) as far as we need it.
type jwk struct {
	Kty    string   `json:"kty"`
	Kid    string   `json:"kid"`
	Use    string   `json:"use"`
	Alg    string   `json:"alg"`
	KeyOps []string `json:"key_ops"`
	N      string   `json:"n"`
	E      string   `json:"e"`
	Crv    string   `json:"crv"`
	X      string   `json:"x"`
	Y      string   `json:"y"`
}

// parseKeySet reads the signing keys of a JWK Set. Keys we cannot use are left out,
// as the standard asks.
func parseKeySet(body []byte) ([]publicKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("read key set: %w", err)
	}
	if set.Keys == nil {
		return nil, errors.New("read key set: it has no list of keys")
	}
	if len(set.Keys) > maxKeySetKeys {
		return nil, fmt.Errorf("read key set: more than %d keys", maxKeySetKeys)
	}
	keys := make([]publicKey, 0, len(set.Keys))
	for _, raw := range set.Keys {
		var j jwk
		if err := json.Unmarshal(raw, &j); err != nil {
			continue
		}
		if (j.Use != "" && j.Use != "sig") || (j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify")) {
			continue
		}
		if key, ok := j.public(); ok {
			keys = append(keys, publicKey{kid: j.Kid, alg: j.Alg, key: key})
		}
	}
	return keys, nil
}

func (j jwk) public() (crypto.PublicKey, bool) {
	switch j.Kty {
	case "RSA":
		return j.rsa()
	case "EC":
		return j.ec()
	case "OKP":
		x, ok := unbase64(j.X)
		if j.Crv != "Ed25519" || !ok || len(x) != ed25519.PublicKeySize {
			return nil, false
		}
		return ed25519.PublicKey(x), true
	}
	return nil, false // oct among them: a shared secret is no public key.
}

func (j jwk) rsa() (crypto.PublicKey, bool) {
	n, ok := unbase64(j.N)
	e, okE := unbase64(j.E)
	if !ok || !okE || len(e) == 0 || len(e) > 4 {
		return nil, false
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if bits := key.N.BitLen(); bits < 2048 || bits > 8192 || key.E < 3 || key.E%2 == 0 || key.E > 1<<31-1 {
		return nil, false
	}
	return key, true
}

func (j jwk) ec() (crypto.PublicKey, bool) {
	curves := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384()}
	curve, ok := curves[j.Crv]
	if !ok {
		return nil, false
	}
	x, okX := unbase64(j.X)
	y, okY := unbase64(j.Y)
	size := (curve.Params().BitSize + 7) / 8
	if !okX || !okY || len(x) != size || len(y) != size {
		return nil, false
	}
	// It checks that the point lies on the curve.
	key, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
	return key, err == nil
}

func unbase64(s string) ([]byte, bool) {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	return b, err == nil
}
