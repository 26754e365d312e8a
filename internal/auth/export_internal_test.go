package auth

import (
	"context"
	"iter"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// HashesDone counts the passwords hashed.
func (s *Service) HashesDone() int64 { return s.hasher.done.Load() }

// CheckBound runs the check of bound contexts now.
func (s *Service) CheckBound(ctx context.Context) error { return s.checkBound(ctx) }

// Bound counts the bound contexts.
func (s *Service) Bound() int { return len(s.bound.principals()) }

// FillHasher takes all slots for hashing and returns how to give them back.
func (s *Service) FillHasher() (release func()) {
	for range cap(s.hasher.slots) {
		s.hasher.slots <- struct{}{}
	}
	return func() {
		for range cap(s.hasher.slots) {
			<-s.hasher.slots
		}
	}
}

// Forge signs claims the way our access tokens are signed, for tests of what
// happens to a token whose signature is good.
func (k *Keyring) Forge(header, claims map[string]any) string {
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims(claims))
	for name, value := range header {
		token.Header[name] = value
	}
	kid, key := k.current()
	if _, ok := token.Header["kid"]; !ok {
		token.Header["kid"] = kid
	}
	signed, err := token.SignedString(key.access)
	if err != nil {
		panic(err)
	}
	return signed
}

// AccessKey is the key that signs access tokens.
func (k *Keyring) AccessKey() []byte {
	_, key := k.current()
	return key.access
}

// CommonPasswords is the list of refused passwords.
func CommonPasswords() iter.Seq[string] { return commonPasswords() }

// PasswordProblem says what is wrong with a new password.
func PasswordProblem(password, email string) string { return passwordProblem(password, email) }

// HashTime measures one hash.
func HashTime(cost HashCost) (took time.Duration) {
	h := newHasher(cost, func(_ context.Context, t time.Duration) { took = t })
	_, _ = h.hash(context.Background(), "any") // There is a slot.
	return took
}

// WaitForSlot waits to hash where there is no slot.
func WaitForSlot(ctx context.Context) error {
	h := &hasher{slots: make(chan struct{})}
	return h.acquire(ctx)
}

// HashAsTyped makes the hash that servers made before passwords had one form.
func (s *Service) HashAsTyped(password string) string {
	p := phc{cost: s.cfg.Hash, salt: make([]byte, saltBytes), key: make([]byte, hashBytes)}
	p.key = s.hasher.derive(context.Background(), p, password)
	return p.String()
}
