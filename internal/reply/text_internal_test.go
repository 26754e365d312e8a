package reply

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// samples holds runes of every length, and marks that combine.
const samples = "aé€😀e\u0301\u2028日本語👩‍👩‍👧 \n\"\\"

func randomText(r *rand.Rand, runes int) string {
	all := []rune(samples)
	var b strings.Builder
	for range runes {
		b.WriteRune(all[r.IntN(len(all))])
	}
	return b.String()
}

// Pieces may end anywhere inside a rune: what can be read is always whole runes,
// and in the end it is the text.
func TestTextJoinsSplitRunes(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		want := randomText(r, r.IntN(60))
		var got text
		for rest := want; rest != ""; {
			n := 1 + r.IntN(min(5, len(rest)))
			before := len(got.bytes)
			grew := got.append(rest[:n])
			rest = rest[n:]
			if !utf8.ValidString(got.all()) {
				t.Fatalf("after a piece the text %q is not valid UTF-8", got.all())
			}
			if grew != (len(got.bytes) > before) {
				t.Fatalf("append reports %v, but the text went from %d to %d bytes", grew, before, len(got.bytes))
			}
		}
		got.flush()
		if got.all() != want {
			t.Fatalf("got %q, want %q", got.all(), want)
		}
		if want := len(utf16.Encode([]rune(want))); got.units != want {
			t.Fatalf("%d UTF-16 units, want %d", got.units, want)
		}
	}
}

func TestTextReplacesWhatNeverBecomesARune(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pieces []string
		want   string
	}{
		"cut at the end":     {[]string{"a", "\xe2\x82"}, "a\uFFFD"},
		"broken in between":  {[]string{"\xe2", "b"}, "\uFFFDb"},
		"two halves of none": {[]string{"\xf0\x9f", "\xf0\x9f\x98\x80"}, "\uFFFD\uFFFD😀"},
	} {
		var got text
		for _, p := range c.pieces {
			got.append(p)
		}
		got.flush()
		if got.all() != c.want {
			t.Errorf("%s: got %q, want %q", name, got.all(), c.want)
		}
	}
}

func TestUnitsAt(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	var got text
	want := randomText(r, 9000)
	for rest := want; rest != ""; {
		n := min(1+r.IntN(400), len(rest))
		got.append(rest[:n])
		rest = rest[n:]
	}
	if len(got.marks) < 3 {
		t.Fatalf("%d marks in %d bytes, want one about every %d", len(got.marks), len(want), blockSize)
	}
	units := 0
	for offset, rune := range want {
		if got := got.unitsAt(offset); got != units {
			t.Fatalf("unitsAt(%d) = %d, want %d", offset, got, units)
		}
		units += utf16.RuneLen(rune)
	}
	if got := got.unitsAt(len(want)); got != units {
		t.Fatalf("unitsAt(end) = %d, want %d", got, units)
	}
}

// What was handed out stays as it was, though the text grows on in the same bytes.
func TestTextHandedOutNeverChanges(t *testing.T) {
	t.Parallel()
	var growing text
	var views, copies []string
	for i := range 500 {
		growing.append(strings.Repeat(string(rune('a'+i%26)), i%7+1))
		views = append(views, growing.all())
		copies = append(copies, strings.Clone(growing.all()))
	}
	for i := range views {
		if views[i] != copies[i] {
			t.Fatalf("the text handed out at step %d has changed", i)
		}
	}
}

func FuzzParseCursor(f *testing.F) {
	at := Position{Content: 2, Reasoning: 3}
	f.Add(Cursor{MessageID: "msg_01m84jnex7fk8rh44v2xj5k8a7", Attempt: 1, At: at}.String())
	f.Add("")
	f.Add("cjEg")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCursor(s)
		if err == nil && c.String() != s {
			t.Errorf("ParseCursor(%q) = %+v, which writes %q", s, c, c.String())
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add("héllo", 1)
	f.Add("\xe2\x28\xa1😀", 2)
	f.Fuzz(func(t *testing.T, s string, cut int) {
		if cut < 0 || cut > len(s) {
			return
		}
		var got text
		got.append(s[:cut])
		got.append(s[cut:])
		got.flush()
		if !utf8.ValidString(got.all()) || utf8.ValidString(s) && got.all() != s {
			t.Errorf("got %q of %q", got.all(), s)
		}
	})
}
