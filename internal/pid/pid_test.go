package pid_test

import (
	"math/big"
	"sort"
	"strings"
	"testing"
	"time"

	"parley/internal/pid"
)

func TestNewIsParsedAndSorted(t *testing.T) {
	t.Parallel()
	var ids []string
	for range 2000 {
		id := pid.New(pid.Message)
		got, err := pid.Parse(string(id))
		if err != nil || got != id {
			t.Fatalf("Parse(%q) = %q, %v; want the same id", id, got, err)
		}
		if !id.Is(pid.Message) || id.Is(pid.User) {
			t.Fatalf("%q: want a message id and nothing else", id)
		}
		ids = append(ids, string(id))
	}
	if !sort.StringsAreSorted(ids) {
		t.Fatal("ids made one after the other are not sorted")
	}
}

// The characters hold the UUID's 128 bits in order, checked against big integers.
func TestEncodingKeepsTheBits(t *testing.T) {
	t.Parallel()
	const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	for range 100 {
		_, text, _ := strings.Cut(string(pid.New(pid.User)), "_")
		n := new(big.Int)
		for _, c := range text {
			n.Mul(n, big.NewInt(32))
			n.Add(n, big.NewInt(int64(strings.IndexRune(alphabet, c))))
		}
		b := n.FillBytes(make([]byte, 16))
		if version := b[6] >> 4; version != 7 {
			t.Fatalf("%q decodes to UUID version %d, want 7", text, version)
		}
		if variant := b[8] >> 6; variant != 2 {
			t.Fatalf("%q decodes to variant %d, want 2", text, variant)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	good := string(pid.New(pid.User))
	for name, in := range map[string]string{
		"empty":          "",
		"no prefix":      good[4:],
		"unknown prefix": "xyz" + good[3:],
		"short":          good[:len(good)-1],
		"long":           good + "0",
		"upper case":     strings.ToUpper(good),
		"wildcard":       good[:len(good)-1] + "*",
		"dot":            good[:len(good)-1] + ".",
		"overflow":       "usr_8" + good[5:],
	} {
		if _, err := pid.Parse(in); err == nil {
			t.Errorf("%s: Parse(%q) succeeded, want ErrMalformed", name, in)
		}
	}
}

// First lies between the ids that were made before a time and those made after it.
func TestFirst(t *testing.T) {
	t.Parallel()
	before := pid.First(pid.Send, time.Now().Add(-time.Second))
	id := pid.New(pid.Send)
	after := pid.First(pid.Send, time.Now().Add(time.Second))
	if before >= id || id >= after || len(before) != len(id) {
		t.Errorf("got %s, %s and %s, want them in this order", before, id, after)
	}
}
