package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"parley/internal/text"
)

const (
	minPasswordLen = 8
	maxPasswordLen = 128 // Code points.
	// maxPasswordBytes is more than 128 code points can have, each typed as up to four.
	maxPasswordBytes = maxPasswordLen * 4 * utf8.UTFMax

	saltBytes = 16
	hashBytes = 32

	// hashWait is how long a request waits for its turn to hash.
	hashWait = 2 * time.Second
	// unlimitedHashWait is the same for those who are Unlimited: some hundred users whom a
	// test signs up at once take turns on a small machine.
	unlimitedHashWait = time.Minute
)

func (c HashCost) validate() error {
	// The upper bounds also hold for hashes read from the database.
	if c.MemoryKiB < 8*uint32(c.Lanes) || c.MemoryKiB > 1<<20 || c.Passes < 1 || c.Passes > 64 || c.Lanes < 1 ||
		c.Lanes > 64 {
		return fmt.Errorf("auth: hash cost m=%d t=%d p=%d is out of range", c.MemoryKiB, c.Passes, c.Lanes)
	}
	return nil
}

// hasher hashes passwords, a bounded number at a time, since each takes tens of
// milliseconds of a processor and megabytes of memory.
type hasher struct {
	cost  HashCost
	slots chan struct{}
	// dummy is the hash of no password that anybody knows. Sign-ins that have nothing to
	// compare with are compared with it, so that they take as long as the others.
	dummy string
	// done counts finished hashes.
	done atomic.Int64
	// measured is told how long the first hash of this cost took.
	measured func(ctx context.Context, took time.Duration)
	first    sync.Once
}

// newHasher takes none of the memory of a hash: that comes with the first password.
func newHasher(cost HashCost, measured func(ctx context.Context, took time.Duration)) *hasher {
	var salt [saltBytes]byte
	var key [hashBytes]byte
	_, _ = rand.Read(salt[:]) // It never fails; it ends the process instead.
	_, _ = rand.Read(key[:])  // As good as the hash of a random password: nobody can tell one from the other.
	return &hasher{
		cost: cost,
		// GOMAXPROCS follows the limits of a container, unlike the number of processors.
		slots:    make(chan struct{}, runtime.GOMAXPROCS(0)),
		dummy:    phc{cost: cost, salt: salt[:], key: key[:]}.String(),
		measured: measured,
	}
}

// acquire waits for a slot. It returns RATE_LIMITED when there is none in time.
func (h *hasher) acquire(ctx context.Context) error {
	select {
	case h.slots <- struct{}{}:
		return nil
	default:
	}
	patience := hashWait
	if IsUnlimited(ctx) {
		patience = unlimitedHashWait
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return errRateLimited(hashWait, "password hashing")
	case <-ctx.Done():
		return unavailable("wait to hash", ctx.Err())
	}
}

func (h *hasher) release() { <-h.slots }

// hash returns the PHC string of the password, in the form in which it is compared.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	if err := h.acquire(ctx); err != nil {
		return "", err
	}
	defer h.release()
	defer h.done.Add(1)
	p := phc{cost: h.cost, salt: make([]byte, saltBytes), key: make([]byte, hashBytes)}
	_, _ = rand.Read(p.salt) // It never fails; it ends the process instead.
	p.key = h.derive(ctx, p, text.Password(password))
	return p.String(), nil
}

// derive returns the key of a password with the cost, the salt and the length of p's.
func (h *hasher) derive(ctx context.Context, p phc, password string) []byte {
	began := time.Now()
	key := argon2.IDKey([]byte(password), p.salt, p.cost.Passes, p.cost.MemoryKiB, p.cost.Lanes, uint32(len(p.key)))
	if p.cost == h.cost {
		h.first.Do(func() { h.measured(ctx, time.Since(began)) })
	}
	return key
}

// verify reports whether the password belongs to the PHC string, and whether that
// should be made anew: it has another cost than ours, or is from before passwords had
// one form, and of the password as it was typed. An empty or unreadable string takes as
// long as any other and belongs to no password.
//
// A password that was typed in another form than it is compared in takes two hashes, and
// always both: how long it takes says nothing of what is stored.
func (h *hasher) verify(ctx context.Context, encoded, password string) (ok, outdated bool, err error) {
	usable := len(password) <= maxPasswordBytes
	if !usable {
		password = "" // Nobody has it, so it need not be read either.
	}
	p, err := parsePHC(encoded)
	if err != nil {
		usable = false
		if p, err = parsePHC(h.dummy); err != nil {
			return false, false, unavailable("verify password", err)
		}
	}
	if err := h.acquire(ctx); err != nil {
		return false, false, err
	}
	defer h.release()
	matches := func(password string) bool {
		defer h.done.Add(1)
		return subtle.ConstantTimeCompare(h.derive(ctx, p, password), p.key) == 1
	}
	prepared := text.Password(password)
	match := matches(prepared)
	if prepared != password {
		raw := matches(password)
		outdated = raw && !match
		match = match || raw
	}
	outdated = outdated || p.cost != h.cost || len(p.salt) != saltBytes || len(p.key) != hashBytes
	return match && usable, outdated, nil
}

// phc is an argon2id hash in the form of the Password Hashing Competition.
type phc struct {
	cost HashCost
	salt []byte
	key  []byte
}

// String returns $argon2id$v=19$m=…,t=…,p=…$salt$key.
func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		p.cost.MemoryKiB, p.cost.Passes, p.cost.Lanes,
		base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.key))
}

var errPHC = errors.New("not an argon2id hash that can be used")

func parsePHC(s string) (phc, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return phc{}, errPHC
	}
	var p phc
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.cost.MemoryKiB, &p.cost.Passes, &p.cost.Lanes); n != 3 ||
		err != nil {
		return phc{}, errPHC
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil || len(p.salt) < 8 || len(p.salt) > 64 {
		return phc{}, errPHC
	}
	if p.key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(p.key) < 16 || len(p.key) > 64 {
		return phc{}, errPHC
	}
	if p.cost.validate() != nil {
		return phc{}, errPHC
	}
	return p, nil
}

// passwordProblem says what is wrong with a new password, or "". The password is
// taken as it is: nothing is trimmed and no case is changed. What is counted is the form
// in which it is compared, which is the same however it was typed.
func passwordProblem(typed, email string) string {
	if len(typed) > maxPasswordBytes || !utf8.ValidString(typed) {
		return fmt.Sprintf("must be text of at most %d characters", maxPasswordLen)
	}
	password := text.Password(typed)
	switch n := utf8.RuneCountInString(password); {
	case n < minPasswordLen:
		return fmt.Sprintf("must have at least %d characters", minPasswordLen)
	case n > maxPasswordLen:
		return fmt.Sprintf("may have at most %d characters", maxPasswordLen)
	}
	email = text.Spelling(email)
	local, _, _ := strings.Cut(email, "@")
	if folded := text.Spelling(strings.ToLower(password)); email != "" && (folded == email || folded == local) {
		return "must not be the e-mail address"
	}
	if isCommonPassword(password) {
		return "is too common: many people use it, and it is guessed first"
	}
	return ""
}
