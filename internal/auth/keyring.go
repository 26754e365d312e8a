package auth

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	minKeyBytes   = 32
	maxKeyBytes   = 1024
	maxKeys       = 16
	maxKidLen     = 32
	redactedValue = "[redacted]"
)

// Keyring holds the server's secrets, each under a key id (kid). The first signs,
// all verify. It never changes and is safe for concurrent use. However it is
// printed, logged or encoded, it shows as [redacted].
type Keyring struct {
	// keys sits behind a pointer so that not even reflection over a struct that
	// holds a Keyring prints them.
	keys *keys
}

type keys struct {
	current string
	byID    map[string]*serverKey
}

// serverKey holds the keys derived from one secret, one for each purpose, so that
// what one of them signs means nothing to another.
type serverKey struct {
	access    []byte // Signs access tokens.
	successor []byte // Derives the next refresh secret.
	tag       []byte // Marks refresh tokens as ours.
	// fingerprint is no key: part of it is shown.
	fingerprint []byte
}

// ParseKeyring reads the form of PARLEY_AUTH_KEYS: kid:secret, comma separated,
// where a secret is at least 32 random bytes in base64url or base64. It refuses short
// secrets, secrets that are visibly not random, and examples people copy. Errors
// name the position of a key: where kid and secret are swapped, the kid is the secret.
func ParseKeyring(secret string) (*Keyring, error) {
	parts := strings.Split(secret, ",")
	if len(parts) > maxKeys {
		return nil, fmt.Errorf("auth keys: at most %d keys are allowed", maxKeys)
	}
	k := &keys{byID: make(map[string]*serverKey)}
	seen := make(map[string]bool)
	for i, part := range parts {
		kid, encoded, ok := strings.Cut(strings.TrimSpace(part), ":")
		if !ok || !validKid(kid) {
			return nil, fmt.Errorf("auth keys: key %d: want kid:secret, the kid being 1 to %d letters, digits, '-' or '_'", i+1, maxKidLen)
		}
		// openssl rand -base64 32 uses the other alphabet; both mean the same.
		encoded = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(encoded, "="))
		raw, err := base64.RawURLEncoding.DecodeString(encoded)
		if err != nil {
			// The decoder's error would show a piece of the secret.
			return nil, fmt.Errorf("auth keys: key %d: the secret is not base64", i+1)
		}
		if err := checkSecret(encoded, raw); err != nil {
			return nil, fmt.Errorf("auth keys: key %d: %w", i+1, err)
		}
		if k.byID[kid] != nil || seen[string(raw)] {
			return nil, fmt.Errorf("auth keys: key %d: the kid or the secret is there twice", i+1)
		}
		seen[string(raw)] = true
		if k.byID[kid], err = deriveKeys(raw); err != nil {
			return nil, fmt.Errorf("auth keys: key %d: %w", i+1, err)
		}
		if i == 0 {
			k.current = kid
		}
	}
	return &Keyring{keys: k}, nil
}

func validKid(kid string) bool {
	if kid == "" || len(kid) > maxKidLen {
		return false
	}
	return !strings.ContainsFunc(kid, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// checkSecret refuses what no random generator makes. A chance refusal of a good
// secret is less likely than a hardware fault.
func checkSecret(encoded string, raw []byte) error {
	if len(raw) < minKeyBytes || len(raw) > maxKeyBytes {
		return fmt.Errorf("the secret has %d bytes, want %d to %d", len(raw), minKeyBytes, maxKeyBytes)
	}
	distinct := make(map[byte]bool)
	steps := make(map[byte]bool)
	for i, b := range raw {
		distinct[b] = true
		if i > 0 {
			steps[b-raw[i-1]] = true
		}
	}
	// 32 random bytes have about 30 distinct values; hex digits kept as text have 16.
	if len(distinct) < 10 || len(steps) < 4 {
		return errors.New("the secret repeats itself: use random bytes, as from openssl rand -base64 32")
	}
	for _, text := range []string{strings.ToLower(encoded), strings.ToLower(string(raw))} {
		for _, example := range []string{
			"secret", "passw", "changeme", "change-me", "change_me", "example", "parley", "your-", "your_",
			"test-key", "testkey", "0123456789", "abcdefgh", "qwerty", "insecure", "placeholder", "dummy",
		} {
			if strings.Contains(text, example) {
				return errors.New("the secret looks like an example: use random bytes, as from openssl rand -base64 32")
			}
		}
	}
	return nil
}

func deriveKeys(secret []byte) (*serverKey, error) {
	k := &serverKey{}
	for _, d := range []struct {
		key     *[]byte
		purpose string
	}{
		{&k.access, "parley access token v1"},
		{&k.successor, "parley refresh successor v1"},
		{&k.tag, "parley refresh tag v1"},
		{&k.fingerprint, "parley key fingerprint v1"},
	} {
		var err error
		if *d.key, err = hkdf.Key(sha256.New, secret, nil, d.purpose, sha256.Size); err != nil {
			return nil, fmt.Errorf("derive key: %w", err)
		}
	}
	return k, nil
}

// GenerateKeyring returns a keyring with one new random key, kept nowhere: tokens
// end with the process. It is for tests and throw-away servers.
func GenerateKeyring() *Keyring {
	ring, err := ParseKeyring(newKeyText())
	if err != nil {
		panic(fmt.Sprintf("auth: a fresh key is refused: %v", err)) // Broken invariant.
	}
	return ring
}

func newKeyText() string {
	var id [4]byte
	var secret [minKeyBytes]byte
	for {
		// crypto/rand never fails; it ends the process instead.
		_, _ = rand.Read(id[:])
		_, _ = rand.Read(secret[:])
		encoded := base64.RawURLEncoding.EncodeToString(secret[:])
		if checkSecret(encoded, secret[:]) == nil {
			return "k" + hex.EncodeToString(id[:]) + ":" + encoded
		}
	}
}

// LoadOrCreateKeyring reads the keyring in the file at path, and makes the file
// with a fresh key when there is none. The file appears whole or not at all, with
// mode 0600. A file that others may read is refused.
func LoadOrCreateKeyring(path string) (*Keyring, error) {
	text, err := readKeyFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if err = createKeyFile(path); err == nil {
			text, err = readKeyFile(path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("auth key file: %w", err)
	}
	ring, err := ParseKeyring(text)
	if err != nil {
		return nil, fmt.Errorf("auth key file %s: %w", path, err)
	}
	return ring, nil
}

func readKeyFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // Only read.
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return "", fmt.Errorf("%s can be read by others (mode %04o): run chmod 600 on it, or delete it to get a new key", path, perm)
	}
	const maxFile = maxKeys * (maxKidLen + 2*maxKeyBytes)
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", err
	}
	if len(raw) > maxFile {
		return "", fmt.Errorf("%s is too large for a key file", path)
	}
	return string(bytes.TrimSpace(raw)), nil
}

func createKeyFile(path string) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".keys-*") // Mode 0600.
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // Gone already when it was renamed.
	_, err = f.WriteString(newKeyText() + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	// A link, unlike a rename, never replaces a key that another process made in
	// the meantime.
	if err := os.Link(f.Name(), path); errors.Is(err, os.ErrExist) {
		return nil
	} else if err != nil {
		// A file system without links; such a folder has one process.
		if err := os.Rename(f.Name(), path); err != nil {
			return err
		}
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// KeyIDs returns the key ids, the signing one first. They are not secret.
func (k Keyring) KeyIDs() []string {
	if k.keys == nil {
		return nil
	}
	ids := []string{k.keys.current}
	for id := range k.keys.byID {
		if id != k.keys.current {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids[1:])
	return ids
}

// Format implements fmt.Formatter for every verb.
// fmt has no way to report an error.
func (Keyring) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedValue) }

// String implements fmt.Stringer.
func (Keyring) String() string { return redactedValue }

// LogValue implements slog.LogValuer.
func (Keyring) LogValue() slog.Value { return slog.StringValue(redactedValue) }

// MarshalText implements encoding.TextMarshaler, and with it JSON.
func (Keyring) MarshalText() ([]byte, error) { return []byte(redactedValue), nil }

func (k *Keyring) current() (kid string, key *serverKey) {
	return k.keys.current, k.keys.byID[k.keys.current]
}

func (k *Keyring) find(kid string) (*serverKey, bool) {
	key, ok := k.keys.byID[kid]
	return key, ok
}
