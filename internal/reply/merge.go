package reply

import (
	"unicode/utf8"

	"parley/ent"
)

// What became of a piece of a reply that runs elsewhere.
type merged uint8

const (
	// stale: it belongs to an earlier attempt, or held nothing new.
	stale merged = iota
	// added: it was appended, and nothing is known to be missing.
	added
	// gap: text is missing before or behind what is held now.
	gap
	// newer: it belongs to an attempt that has begun since.
	newer
)

// merge appends what is new in a piece to the texts that are held of an attempt. Pieces
// may come late, twice, in any order or not at all: their places say what they are worth.
// It decides and never waits, so that every interleaving can be tried out.
func merge(attempt int, held *liveTexts, p Piece) merged {
	switch {
	case p.Attempt < attempt:
		return stale
	case p.Attempt > attempt:
		return newer
	}
	before, missing := held.size(), false
	for c := range held {
		missing = !extend(&held[c], p.From[c], p.Texts[c]) || missing
	}
	switch {
	case missing, !held.reaches(p.End):
		return gap
	case held.size() == before:
		return stale
	}
	return added
}

// extend appends what lies behind the end of t. It returns false when the piece does
// not join it.
func extend(t *text, offset int, piece string) bool {
	held := len(t.bytes)
	switch {
	case offset > held:
		return false
	case offset < 0 || offset+len(piece) <= held:
		return true
	}
	rest := piece[held-offset:]
	if !utf8.RuneStart(rest[0]) {
		return false // Not a piece of this text. The row knows better.
	}
	t.append(rest)
	return true
}

// pieceOf makes a piece of all a row holds.
func pieceOf(m *ent.Message) Piece {
	texts := TextsOf(m)
	return Piece{MessageID: m.ID, Attempt: m.Attempt, Texts: texts, End: texts.end()}
}
