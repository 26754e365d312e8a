package reply

import (
	"sort"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// text is an append-only UTF-8 text. What has been handed out stays valid: bytes
// below the length are never written again. It is guarded by its owner's lock.
type text struct {
	bytes []byte
	// held is the beginning of a rune whose other bytes have not arrived yet.
	held  [utf8.UTFMax]byte
	nHeld int
	// units counts the UTF-16 code units of bytes; marks says how many lie before
	// some positions, so that counting never scans more than a block.
	units int
	marks []mark
}

type mark struct{ bytes, units int }

// blockSize is the distance between marks, and so the most that one conversion
// scans.
const blockSize = 4096

// append adds a piece and keeps back a rune that is not complete yet. It reports
// whether there is anything new to read.
func (t *text) append(piece string) bool {
	before := len(t.bytes)
	for t.nHeld > 0 && piece != "" {
		t.held[t.nHeld] = piece[0]
		t.nHeld++
		piece = piece[1:]
		if utf8.FullRune(t.held[:t.nHeld]) {
			// An impossible sequence is full too; AppendRune replaces its first byte
			// and the rest is looked at again.
			r, size := utf8.DecodeRune(t.held[:t.nHeld])
			rest := string(t.held[size:t.nHeld])
			t.nHeld = 0
			t.grow(string(r))
			piece = rest + piece
		}
	}
	cut := len(piece) - incomplete(piece)
	t.nHeld += copy(t.held[t.nHeld:], piece[cut:])
	t.grow(piece[:cut])
	return len(t.bytes) > before
}

// flush ends the text: a rune that never became complete shows as U+FFFD.
func (t *text) flush() {
	if t.nHeld > 0 {
		t.nHeld = 0
		t.grow(string(utf8.RuneError))
	}
}

func (t *text) grow(s string) {
	if s == "" {
		return
	}
	if !utf8.ValidString(s) {
		// An Upstream promises that this does not happen. If it did, Postgres would
		// refuse the whole reply.
		s = strings.ToValidUTF8(s, string(utf8.RuneError))
	}
	t.bytes = append(t.bytes, s...)
	t.units += utf16Len(s)
	if last := t.lastMark(); len(t.bytes)-last.bytes >= blockSize {
		t.marks = append(t.marks, mark{len(t.bytes), t.units})
	}
}

func (t *text) lastMark() mark {
	if len(t.marks) == 0 {
		return mark{}
	}
	return t.marks[len(t.marks)-1]
}

// all returns the whole text without copying it.
func (t *text) all() string { return t.from(0) }

// from returns the text from a position on without copying it. Sharing the bytes
// is sound because they are never written again.
func (t *text) from(offset int) string {
	b := t.bytes[offset:]
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// begins reports whether a position lies between two runes, or beyond the end.
func (t *text) begins(offset int) bool {
	return offset >= len(t.bytes) || offset >= 0 && utf8.RuneStart(t.bytes[offset])
}

// part returns at most max bytes from a position on, cut between two runes, and where
// they lie. A position that is none gives nothing, at the end.
func (t *text) part(offset, max int) (int, string) {
	all := t.all()
	if !onBoundary(all, offset) {
		return len(all), ""
	}
	end := min(offset+max, len(all))
	for end > offset && !onBoundary(all, end) {
		end--
	}
	return offset, all[offset:end]
}

// unitsAt returns how many UTF-16 units lie before a byte position.
func (t *text) unitsAt(offset int) int {
	if tail := len(t.bytes) - offset; tail < blockSize/8 {
		return t.units - utf16Len(t.from(offset)) // A watcher that keeps up.
	}
	i := sort.Search(len(t.marks), func(i int) bool { return t.marks[i].bytes > offset })
	var m mark
	if i > 0 {
		m = t.marks[i-1]
	}
	return m.units + utf16Len(t.from(m.bytes)[:offset-m.bytes])
}

// utf16Len counts the UTF-16 code units of valid UTF-8: one for each rune, two
// for a rune of four bytes.
func utf16Len(s string) int {
	n := 0
	for i := range len(s) {
		if s[i]&0xC0 != 0x80 {
			n++
		}
		if s[i] >= 0xF0 {
			n++
		}
	}
	return n
}

// incomplete returns how many bytes at the end of s begin a rune that may still
// be completed.
func incomplete(s string) int {
	for n := 1; n < utf8.UTFMax && n <= len(s); n++ {
		b := s[len(s)-n]
		if !utf8.RuneStart(b) {
			continue
		}
		if b >= utf8.RuneSelf && !utf8.FullRuneInString(s[len(s)-n:]) {
			return n
		}
		return 0
	}
	return 0
}

// onBoundary reports whether a byte position of s lies between two runes.
func onBoundary(s string, offset int) bool {
	return offset >= 0 && offset <= len(s) && (offset == len(s) || utf8.RuneStart(s[offset]))
}
