package reply

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// collected is an Output that keeps the content.
type collected struct{ strings.Builder }

func (c *collected) Append(channel Channel, piece string) error {
	if channel == Content {
		c.WriteString(piece)
	}
	return nil
}

// joined is a text and what a model says after it, in random pieces of whole characters.
func joined(random *rand.Rand, text, more string) string {
	var out collected
	s := newSeam(&out, text)
	for runes := []rune(more); len(runes) > 0; {
		n := 1 + random.IntN(len(runes))
		_ = s.Append(Content, string(runes[:n])) // It never fails.
		if random.IntN(3) == 0 {
			_ = s.Append(Reasoning, "hm")
		}
		runes = runes[n:]
	}
	_ = s.flush()
	return text + out.String()
}

// Whatever is said in whatever pieces: what follows is its end, without the end of the text
// before where it begins with that, and nothing else is lost.
func TestSeam(t *testing.T) {
	t.Parallel()
	// Few characters, of one to four bytes, so that much repeats by chance.
	letters := []string{"a", "b", "ä", "語", "🦜", "e\u0301"}
	for seed := range uint64(4000) {
		random := rand.New(rand.NewPCG(seed, 13))
		some := func(n int) string {
			var b strings.Builder
			for range random.IntN(n + 1) {
				b.WriteString(letters[random.IntN(len(letters))])
			}
			return b.String()
		}
		text, rest := some(300), some(30)
		if text == "" {
			continue
		}
		runes := []rune(text)
		repeated := string(runes[len(runes)-random.IntN(min(len(runes), maxOverlap)+1):])
		got := joined(random, text, repeated+rest)
		if !strings.HasPrefix(got, text) || !utf8.ValidString(got) {
			t.Fatalf("seed %d: %q goes on as %q", seed, text, got)
		}
		added := strings.TrimPrefix(got, text)
		if !strings.HasSuffix(repeated+rest, added) {
			t.Fatalf("seed %d: %q was added of %q", seed, added, repeated+rest)
		}
		left := strings.TrimSuffix(repeated+rest, added)
		if !strings.HasSuffix(text, left) || left != "" && len(left) < minOverlap {
			t.Fatalf("seed %d: %q was left out behind %q", seed, left, text)
		}
		if len(repeated) >= minOverlap && len(left) < len(repeated) {
			t.Fatalf("seed %d: %q was repeated behind %q, and %q left out", seed, repeated, text, left)
		}
	}
}
