package auth_test

import (
	"regexp"
	"strings"
	"testing"

	"parley/internal/auth"
)

// Three secrets.
const (
	secretA = "q83vEjRWeJC6vt4BI0VniavN7xI0VniQmrzeASNFZ4k"
	secretB = "Zx9Tq2L7wYkR4nVb8mPc1sHd6fJg3aKuEoXyNiQtWrU"
	secretC = "u7GhT5rEw2QaZ9xScVfRb4NjMk8LpOi1YtD6zXeWqP0"
)

func fingerprints(t *testing.T, keys string) string {
	t.Helper()
	ring, err := auth.ParseKeyring(keys)
	if err != nil {
		t.Fatal(err)
	}
	return ring.Fingerprints()
}

func TestCompareKeys(t *testing.T) {
	t.Parallel()
	const a, b, c = "a:" + secretA, "b:" + secretB, "c:" + secretC
	for _, tt := range []struct {
		name, one, other string
		want             auth.Agreement
	}{
		{"the same", a, a, auth.Agree},
		{"the same, in the other alphabet", a, "a:" + strings.NewReplacer("-", "+", "_", "/").Replace(secretA) + "=",
			auth.Agree},
		{"the next key is known", a, a + "," + b, auth.Agree},
		{"the next key signs, and both know it", a + "," + b, b + "," + a, auth.Agree},
		{"the old key is gone", b + "," + a, b, auth.Agree},
		{"the next key signs, and one does not know it", a, b + "," + a, auth.HalfAgree},
		{"both go on to others", a + "," + b, c + "," + b, auth.HalfAgree},
		{"others", a, b, auth.Disagree},
		{"the same secret under another id", a, "x:" + secretA, auth.Disagree},
		{"another secret under the same id", a, "a:" + secretB, auth.Disagree},
	} {
		one, other := fingerprints(t, tt.one), fingerprints(t, tt.other)
		if got := auth.CompareKeys(one, other); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
		if got := auth.CompareKeys(other, one); got != tt.want {
			t.Errorf("%s, the other way round: got %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := auth.CompareKeys("", fingerprints(t, a)); got != auth.Unknown {
		t.Errorf("with a replica of the version before: got %v, want Unknown", got)
	}
}

// What other replicas see is no credential.
func TestFingerprints(t *testing.T) {
	t.Parallel()
	got := fingerprints(t, "b:"+secretB+",a:"+secretA)
	if !regexp.MustCompile(`^b:[0-9a-f]{16},a:[0-9a-f]{16}$`).MatchString(got) {
		t.Errorf("got %q, want two ids, each with 8 bytes in hex", got)
	}
	if again := fingerprints(t, "b:"+secretB+",a:"+secretA); again != got {
		t.Errorf("got %q, then %q", got, again)
	}
	if got := (auth.Keyring{}).Fingerprints(); got != "" {
		t.Errorf("no keys have the fingerprints %q", got)
	}
}
