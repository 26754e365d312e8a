package text_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/apparentlymart/go-textseg/v17/textseg"
	"golang.org/x/text/secure/precis"

	"parley/internal/text"
)

const (
	family  = "👨\u200d👩\u200d👧\u200d👦"
	flag    = "🇩🇪"
	keycap  = "1\ufe0f\u20e3"
	england = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
	ksha    = "क्षि" // One syllable of Hindi: four characters.
	heart   = "❤\ufe0f"
	zalgo   = "z\u0351\u036b\u0343\u036a\u0302\u036b\u033d"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"plain", "Hello there", "Hello there"},
		{"empty", "", ""},
		{"white space", " \t\n\u00a0\u3000\u2028 ", ""},
		{"zero width space only", "\u200b", ""},
		{"joiner only", "\u200d", ""},
		{"variation selector only", "\ufe0f", ""},
		{"filler only", "\u3164\u115f\uffa0", ""},
		{"braille blank only", "\u2800\u2800", ""},
		{"override only", "\u202e", ""},
		{"tags only", "\U000e0041\U000e0042", ""},
		{"override inside", "in\u202egpj.exe\u202c!", "ingpj.exe!"},
		{"isolates inside", "a\u2067b\u2069c", "abc"},
		{"marks at the ends", "\u200e\u061cשלום\u200f", "שלום"},
		{"mark inside", "שלום\u200f (a)", "שלום\u200f (a)"},
		{"byte order mark", "\ufeffabc", "abc"},
		{"control characters", "a\x00b\x1b[31mc\x7fd\u0085e", "ab[31mcd e"},
		{"lines and tabs", " one\r\n\ttwo\u2029three ", "one two three"},
		{"runs", "a  b \u00a0 c", "a b c"},
		{"one space that does not break stays", "Bonjour\u00a0!", "Bonjour\u00a0!"},
		{"heart", heart, heart},
		{"heart between", "\u200b " + heart + "\u200b", heart},
		{"flag of tags", " " + england + " ", england},
		{"family", family + "\u2060", family},
		{"keycap", "\u200b" + keycap, keycap},
		{"Hindi", " " + ksha, ksha},
		{"half form at the end", "अवन्\u200d", "अवन्\u200d"},
		{"combining mark first", "\u0301a", "\u0301a"},
		{"Zalgo", zalgo, zalgo},
		{"lone surrogate in UTF-8", "a\xed\xa0\x80b", "a\ufffd\ufffd\ufffdb"},
		{"not UTF-8", "a\xff", "a\ufffd"},
		{"a space with a selector", "a \ufe0f", "a"},
	} {
		if got := text.Line(c.in); got != c.want {
			t.Errorf("%s: Line(%+q) = %+q, want %+q", c.name, c.in, got, c.want)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   string
		max  int
		want string
	}{
		{"all", "abc", 3, "abc"},
		{"letters", "abcd", 3, "abc"},
		{"inside a flag", "ab" + flag + "c", 3, "ab"},
		{"between flags", flag + "🇫🇷", 3, flag},
		{"after a flag", flag + "🇫🇷", 2, flag},
		{"inside a family", "a" + family + "b", 5, "a"},
		{"after a family", "a" + family + "b", 8, "a" + family},
		{"inside a keycap", "ab" + keycap + "c", 4, "ab"},
		{"before a selector", "a" + heart + "b", 2, "a"},
		{"inside a flag of tags", "a" + england + "b", 6, "a"},
		{"inside a syllable of Hindi", "a" + ksha + "b", 3, "a"},
		{"between a syllable's consonants", ksha + ksha, 6, ksha},
		{"before a combining mark", "abe\u0301f", 3, "ab"},
		{"Korean in jamo", "a\u1112\u1161\u11ab", 3, "a"},
		{"one grapheme that is too long", zalgo, 3, ""},
		{"nothing", "abc", 0, ""},
		{"a face of Unicode 16", "a\U0001fae9b", 2, "a\U0001fae9"},
		{"a skin", "a👍🏽b", 2, "a"},
	} {
		if got := text.Cut(c.in, c.max); got != c.want {
			t.Errorf("%s: Cut(%+q, %d) = %+q, want %+q", c.name, c.in, c.max, got, c.want)
		}
	}
}

func TestShorten(t *testing.T) {
	long := strings.Repeat("word ", 1<<18)
	for _, c := range []struct{ name, in, want string }{
		{"short", "  hello\nyou ", "hello you"},
		{"as long as may be", "0123456789", "0123456789"},
		{"one more", "0123456789a", "012345678…"},
		{"a flag at the limit", "01234567" + flag + "x", "01234567…"},
		{"a space at the limit", "01234567 9ab", "01234567…"},
		{"far behind white space", strings.Repeat(" \n", 9000) + "here", "here"},
		{"very long", long, "word word…"},
		{"one grapheme of a kilobyte", "e" + strings.Repeat("\u0301", 500), "…"},
		{"half a flag at the end of what is looked at", "a" + strings.Repeat(" ", 158) + flag, "a…"},
		{"nothing", "", ""},
		{"nothing to see", "\u200b \u202e", ""},
	} {
		if got := text.Shorten(c.in, 10); got != c.want {
			t.Errorf("%s: Shorten = %+q, want %+q", c.name, got, c.want)
		}
	}
	for _, n := range []int{1, 1 << 12} {
		s := strings.Repeat("🇩🇪 a\u0301\u202e ", n*8)
		// What t.Parallel would forbid.
		if got := testing.AllocsPerRun(20, func() { text.Shorten(s, 60) }); got > 8 {
			t.Errorf("Shorten of %d bytes: %v allocations, want no more than of a short text", len(s), got)
		}
	}
}

// pieces are what random text is made of: what joins, what hides, what turns.
var pieces = []string{
	"a", "B", "e", "\u0301", "\u0302", " ", "  ", "\n", "\t", "\r", "\u00a0", "\u200b", "\u200c",
	"\u200d", "\u200e", "\u200f", "\u202e", "\u202c", "\u2066", "\u2069", "\ufe0f", "\u20e3", "1",
	"🇩", "🇪", "👨", "👩", "👍", "🏽", "❤", "क", "्", "ष", "ि", "\u1112", "\u1161", "\u11ab", "한",
	"\u0600", "\x00", "\x7f", "\ufeff", "\u115f", "\u3164", "\u2800", "🏴", "\U000e0067",
	"\U000e007f", "\xff", "\xed\xa0\x80", "ש", "ا", "…", "\U0001fae9", "\u00ad", "\u034f",
}

func TestCutsAreBeginningsBetweenGraphemes(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 20_000 {
		var b strings.Builder
		for range random.IntN(40) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		in, limit := b.String(), random.IntN(30)
		line := text.Line(in)
		if again := text.Line(line); again != line {
			t.Fatalf("seed %d: Line(%+q) = %+q, and Line of that %+q", seed, in, line, again)
		}
		if !utf8.ValidString(line) || strings.ContainsAny(line, "\x00\n\t\r\u202e\u202c\u2066\u2069") ||
			text.Blank(line) != (line == "") {
			t.Fatalf("seed %d: Line(%+q) = %+q", seed, in, line)
		}
		if text.Blank(in) && line != "" {
			t.Fatalf("seed %d: %+q is blank, and its line %+q", seed, in, line)
		}
		cut := text.Cut(line, limit)
		want := longest(line, limit)
		if cut != want {
			t.Fatalf("seed %d: Cut(%+q, %d) = %+q, want %+q", seed, line, limit, cut, want)
		}
		short := text.Shorten(in, limit+1)
		kept, wasCut := strings.CutSuffix(short, "…")
		if utf8.RuneCountInString(short) > limit+1 || wasCut && short != line && !isCut(line, kept) ||
			!wasCut && short != line {
			t.Fatalf("seed %d: Shorten(%+q, %d) = %+q", seed, in, limit+1, short)
		}
	}
}

// cuts returns every beginning of s that ends between two graphemes.
func cuts(s string) []string {
	all := []string{""}
	for at := 0; at < len(s); {
		n, _, _ := textseg.ScanGraphemeClusters([]byte(s)[at:], true)
		at += n
		all = append(all, s[:at])
	}
	return all
}

// isCut reports whether kept is one of the cuts of s, but for white space at its end.
func isCut(s, kept string) bool {
	return slices.ContainsFunc(cuts(s), func(c string) bool {
		rest, ok := strings.CutPrefix(c, kept)
		return ok && text.Blank(rest)
	})
}

func longest(s string, maxRunes int) string {
	all := cuts(s)
	for _, c := range slices.Backward(all) {
		if utf8.RuneCountInString(c) <= maxRunes {
			return c
		}
	}
	return ""
}

func TestHidden(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{"a@b.org": false, "é b": false, "a\u200bb": true, "a\u202eb": true,
		"a\x00": true, "": false} {
		if got := text.Hidden(in); got != want {
			t.Errorf("Hidden(%+q) = %v", in, got)
		}
	}
}

func TestSpellings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"abc", []string{"abc"}},
		{"é", []string{"é", "e\u0301"}},
		{"e\u0301", []string{"é", "e\u0301"}},
		{"ée\u0301", []string{"éé", "ée\u0301", "e\u0301e\u0301"}},
	} {
		if got := text.Spellings(c.in); !slices.Equal(got, c.want) {
			t.Errorf("Spellings(%+q) = %+q, want %+q", c.in, got, c.want)
		}
		if text.Spelling(c.in) != c.want[0] {
			t.Errorf("Spelling(%+q) = %+q", c.in, text.Spelling(c.in))
		}
	}
}

// TestPasswordIsOpaqueString compares with the profile itself, which would add half a megabyte
// to the binary for refusals that are not wanted.
func TestPasswordIsOpaqueString(t *testing.T) {
	t.Parallel()
	taken := 0
	check := func(in string) {
		want, err := precis.OpaqueString.String(in)
		if err != nil {
			return
		}
		taken++
		if got := text.Password(in); got != want {
			t.Fatalf("Password(%+q) = %+q, OpaqueString gives %+q", in, got, want)
		}
	}
	for _, in := range []string{"correct horse", "pa\u00dfwo\u0308rd", "a\u3000b\u00a0c\u1680d", "\u212b\u2126", "ＡＢＣ",
		"\u1112\u1161\u11ab", "q\u0307\u0323", "क़", "\u0344", "Ⅷ"} {
		check(in)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		r := make([]rune, 1+random.IntN(6))
		for i := range r {
			r[i] = rune(random.IntN(0x3100))
		}
		check(string(r))
	}
	if taken < 1000 {
		t.Errorf("the profile took %d of the samples, too few to show anything", taken)
	}
	for in, want := range map[string]string{"tab\te\u0301": "tab\té", "\U0001fae9e\u0301": "\U0001fae9é", "": ""} {
		if got := text.Password(in); got != want {
			t.Errorf("Password(%+q) = %+q, want %+q", in, got, want)
		}
	}
}
