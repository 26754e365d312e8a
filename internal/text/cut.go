package text

import (
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/apparentlymart/go-textseg/v17/textseg"
)

// Cut returns the longest beginning of s that ends between two graphemes and has at most
// maxRunes characters of Unicode. It is empty when the first grapheme alone has more.
func Cut(s string, maxRunes int) string {
	if len(s) <= maxRunes {
		return s // A rune has at least a byte.
	}
	// One rune more than there is room for decides whether a grapheme ends at the limit.
	end, runes := 0, 0
	for from, to := range graphemes(head(s, maxRunes+1)) {
		runes += utf8.RuneCountInString(s[from:to])
		if runes > maxRunes {
			break
		}
		end = to
	}
	return s[:end]
}

// Shorten makes a Line of s with at most maxRunes characters of Unicode, and ends it with an
// ellipsis where something was left out. A text of any length costs no more than a short one
// does.
func Shorten(s string, maxRunes int) string {
	const perRune = 16 // Indentation and what is not seen take room too.
	s = strings.TrimLeftFunc(s, func(r rune) bool { return isSpace(r) || disturbs(r) })
	seen := Cut(s, perRune*maxRunes)
	line := Line(seen)
	if len(seen) == len(s) && utf8.RuneCountInString(line) <= maxRunes {
		return line
	}
	return trim(Cut(line, maxRunes-1)) + "…"
}

// head returns the first n runes of s.
func head(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// graphemes yields where each grapheme of s begins and ends.
func graphemes(s string) iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		data := []byte(s)
		for from := 0; from < len(data); {
			// At the end of the data it gives no error, and what is left as the last one.
			n, _, _ := textseg.ScanGraphemeClusters(data[from:], true)
			to := from + max(n, 1)
			if !yield(from, to) {
				return
			}
			from = to
		}
	}
}
