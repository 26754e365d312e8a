package text

import (
	"strings"
	"unicode"
)

// Line makes one line of text that can be shown as a name. White space and what cannot be
// seen is trimmed from both ends. Inside, a line break, a tab and any run of white space
// become one space, and what would disturb the text around the name is removed: control
// characters, and the embeddings, overrides and isolates that turn its direction. Marks of
// direction, joiners and variation selectors stay where they shape what stands beside them.
// What is not UTF-8 becomes U+FFFD. Line of a line is the same line.
func Line(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	var space rune // The white space that is not written yet.
	for _, r := range s {
		switch {
		case isSpace(r):
			if space != 0 || unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
				r = ' '
			}
			space = r
			continue
		case disturbs(r):
			continue
		}
		if space != 0 && b.Len() > 0 {
			b.WriteRune(space)
		}
		space = 0
		b.WriteRune(r)
	}
	return trim(b.String())
}

// Blank reports whether a reader would see nothing of s.
func Blank(s string) bool {
	for _, r := range s {
		if !unseen(r) {
			return false
		}
	}
	return true
}

// Hidden reports whether s holds a character that nobody sees and that is no white space:
// one by which two texts can look the same and be different.
func Hidden(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unseen(r) && !unicode.IsSpace(r) })
}

// isPlain reports whether s is a line already, as most names are. It looks at ASCII only.
func isPlain(s string) bool {
	if s == "" {
		return true
	}
	if s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == ' ' && s[i-1] == ' ' {
			return false
		}
	}
	return true
}

// trim removes the graphemes at both ends of which nothing is seen. It does so by graphemes,
// since the variation selector of a heart and the last sign of a flag are no refuse.
func trim(s string) string {
	start, end := -1, 0
	for from, to := range graphemes(s) {
		if Blank(s[from:to]) {
			continue
		}
		if start < 0 {
			start = from
		}
		end = to
	}
	if start < 0 {
		return ""
	}
	return strings.TrimFunc(s[start:end], isSpace) // Not even where a mark stands on it.
}

func isSpace(r rune) bool { return unicode.IsSpace(r) || r == brailleBlank }

// brailleBlank looks like white space, and is used for it, but is a letter to Unicode.
const brailleBlank = '\u2800'

// unseen reports whether r leaves no trace on a screen when it stands alone: white space,
// control characters and what Unicode calls default ignorable.
func unseen(r rune) bool {
	return isSpace(r) || unicode.IsControl(r) || unicode.Is(ignorable, r) ||
		r >= '\uFFF9' && r <= '\uFFFB'
}

// disturbs reports whether r does something to the text around it and nothing for its own.
func disturbs(r rune) bool {
	switch {
	case unicode.IsControl(r):
	case r >= '\u202A' && r <= '\u202E': // Embeddings and overrides.
	case r >= '\u2066' && r <= '\u206F': // Isolates, and what is deprecated.
	case r >= '\uFFF9' && r <= '\uFFFB': // Interlinear annotations.
	case r == '\uFEFF': // A byte order mark.
	default:
		return false
	}
	return true
}

// ignorable is Default_Ignorable_Code_Point of Unicode 17.
var ignorable = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x00AD, Hi: 0x00AD, Stride: 1},
		{Lo: 0x034F, Hi: 0x034F, Stride: 1},
		{Lo: 0x061C, Hi: 0x061C, Stride: 1},
		{Lo: 0x115F, Hi: 0x1160, Stride: 1},
		{Lo: 0x17B4, Hi: 0x17B5, Stride: 1},
		{Lo: 0x180B, Hi: 0x180F, Stride: 1},
		{Lo: 0x200B, Hi: 0x200F, Stride: 1},
		{Lo: 0x202A, Hi: 0x202E, Stride: 1},
		{Lo: 0x2060, Hi: 0x206F, Stride: 1},
		{Lo: 0x3164, Hi: 0x3164, Stride: 1},
		{Lo: 0xFE00, Hi: 0xFE0F, Stride: 1},
		{Lo: 0xFEFF, Hi: 0xFEFF, Stride: 1},
		{Lo: 0xFFA0, Hi: 0xFFA0, Stride: 1},
		{Lo: 0xFFF0, Hi: 0xFFF8, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1BCA0, Hi: 0x1BCA3, Stride: 1},
		{Lo: 0x1D173, Hi: 0x1D17A, Stride: 1},
		{Lo: 0xE0000, Hi: 0xE0FFF, Stride: 1},
	},
}
