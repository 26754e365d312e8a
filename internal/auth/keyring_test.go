package auth_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"parley/internal/auth"
)

const goodKey = "Zk3vQx9Jt0sYw5uRb8LnCe7HdGm2PaXoVi4KfTq6WjM"

// A9.
func TestParseKeyring(t *testing.T) {
	t.Parallel()
	b64 := func(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
	run := make([]byte, 32)
	for i := range run {
		run[i] = byte(i)
	}
	for _, c := range []struct {
		name, in string
		good     bool
	}{
		{"one", "k1:" + goodKey, true},
		{"padded", "k1:" + goodKey + "=", true},
		{"as openssl prints it", "k1:" + strings.Replace(goodKey, "Q", "+", 1) + "=", true},
		{"two", "k2:" + strings.ToLower(goodKey) + ", k1:" + goodKey, true},
		{"empty", "", false},
		{"no kid", goodKey, false},
		{"empty kid", ":" + goodKey, false},
		{"path as kid", "../k:" + goodKey, false},
		{"long kid", strings.Repeat("k", 33) + ":" + goodKey, false},
		{"secret", "k1:secret", false},
		{"31 bytes", "k1:" + goodKey[:42], false},
		{"not base64url", "k1:" + strings.Repeat("x?", 22), false},
		{"zeros", "k1:" + b64(make([]byte, 32)), false},
		{"repeated byte", "k1:" + b64(bytes.Repeat([]byte{0xa5}, 64)), false},
		{"repeated pair", "k1:" + b64(bytes.Repeat([]byte{0xa5, 0x17}, 32)), false},
		{"a run", "k1:" + b64(run), false},
		{"jwt.io", "k1:" + b64([]byte("a-string-secret-at-least-256-bits-long")), false},
		{"an example", "k1:" + b64([]byte("your-256-bit-key-goes-here-please-now")), false},
		{"change me", "k1:changeme-changeme-changeme-changeme-changeme", false},
		{"same kid twice", "k1:" + goodKey + ",k1:" + strings.ToLower(goodKey), false},
		{"same secret twice", "k1:" + goodKey + ",k2:" + goodKey, false},
		{"trailing comma", "k1:" + goodKey + ",", false},
	} {
		ring, err := auth.ParseKeyring(c.in)
		if (err == nil) != c.good {
			t.Errorf("%s: got %v, want accepted: %t", c.name, err, c.good)
		}
		if err != nil && c.name != "path as kid" && len(c.in) > 20 &&
			strings.Contains(err.Error(), c.in[len(c.in)-10:]) {
			t.Errorf("%s: the error %q shows the secret", c.name, err)
		}
		if c.name == "two" && fmt.Sprint(ring.KeyIDs()) != "[k2 k1]" {
			t.Errorf("key ids %v, want [k2 k1]", ring.KeyIDs())
		}
	}
}

func TestKeyringIsNeverPrinted(t *testing.T) {
	t.Parallel()
	ring, err := auth.ParseKeyring("k1:" + goodKey)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+" "+verb+" ", ring, *ring)
		fmt.Fprintf(&out, verb+" ", struct{ k *auth.Keyring }{ring})
		fmt.Fprintf(&out, verb+" ", struct{ K auth.Keyring }{*ring})
		fmt.Fprintf(&out, verb+" ", auth.Tokens{AccessToken: goodKey, RefreshToken: goodKey})
		fmt.Fprintf(&out, verb+" ", auth.SignUpInput{Password: goodKey})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "a", ring, "b", *ring, "c", auth.Tokens{AccessToken: goodKey})
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "a", ring, "b", *ring, "c", auth.SignUpInput{Password: goodKey})
	if err := json.NewEncoder(&out).Encode(map[string]any{"a": ring, "b": *ring}); err != nil {
		t.Fatal(err)
	}
	raw, _ := base64.RawURLEncoding.DecodeString(goodKey)
	for _, secret := range []string{goodKey, fmt.Sprintf("%x", raw), fmt.Sprintf("%x", ring.AccessKey()),
		fmt.Sprint(ring.AccessKey())} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q was printed", secret)
		}
	}
	if !strings.Contains(out.String(), "[redacted]") {
		t.Error("nothing says [redacted]")
	}
}

func TestKeyFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "auth.keys")
	var wg sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		wg.Go(func() {
			ring, err := auth.LoadOrCreateKeyring(path)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = ring.KeyIDs()[0]
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("processes side by side have the keys %v, want one", ids)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file is %v, %v, want mode 0600", info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".keys-*")); len(left) != 0 {
		t.Errorf("%v is left over", left)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := auth.LoadOrCreateKeyring(path); err == nil {
			t.Errorf("a file of mode %04o was accepted", mode)
		}
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.LoadOrCreateKeyring(empty); err == nil {
		t.Error("an empty file was accepted or replaced")
	}
}
