package reply

import (
	"strings"
	"unicode/utf8"

	"parley/ent"
	"parley/internal/prompt"
)

// A reply may begin with the text of another one that was cut off. Its row has that text
// from the start, and how long it is; each attempt begins behind it.

// startOf is what an attempt of a reply begins with. A replica of an earlier version, which
// knows of no beginning, may have answered anew: what it has written is as good to go on with,
// but the length of another text may end within a character of it.
func startOf(row *ent.Message) Texts {
	var t Texts
	n := min(row.ContinuedBytes, len(row.Content))
	for n > 0 && n < len(row.Content) && !utf8.RuneStart(row.Content[n]) {
		n--
	}
	t[Content] = row.Content[:n]
	return t
}

// goOn asks for the rest of a text. Servers differ in how they go on with a message of the
// model's own, and many refuse one at the end, so it is asked for in words.
const goOn = "Your last message was cut off. Go on exactly where it ends, in the same language and form. " +
	"Do not repeat anything of it and do not comment on it. Begin with a space if a new word comes next."

// continuing adds to a prompt what asks for the rest of a reply that begins with a text.
func continuing(messages []prompt.Message, row *ent.Message) []prompt.Message {
	text := startOf(row)[Content]
	if text == "" {
		return messages
	}
	return append(messages, prompt.Say(prompt.Assistant, text), prompt.Say(prompt.User, goOn))
}

const (
	// maxOverlap is how much of the text before a model may repeat for it to be noticed, and
	// minOverlap how much it must: less may be meant.
	maxOverlap = 200
	minOverlap = 8
)

// seam is an Output that leaves out the beginning of the content where that repeats the end
// of the text before. It holds no more back than may still be a repetition.
type seam struct {
	Output
	tail string // The end of the text before; "": nothing is left out any more.
	held string
}

// newSeam returns the output for what follows a text.
func newSeam(out Output, text string) *seam {
	cut := len(text)
	for n := 0; n < maxOverlap && cut > 0; n++ {
		_, size := utf8.DecodeLastRuneInString(text[:cut])
		cut -= size
	}
	return &seam{Output: out, tail: text[cut:]}
}

// Append implements Output.
func (s *seam) Append(c Channel, piece string) error {
	if c != Content || s.tail == "" {
		return s.Output.Append(c, piece)
	}
	s.held += piece
	for i := range s.tail {
		if rest := s.tail[i:]; len(rest) > len(s.held) && strings.HasPrefix(rest, s.held) {
			return nil // It may become a repetition.
		}
	}
	return s.flush()
}

// flush passes on what is held, without what repeats the text before.
func (s *seam) flush() error {
	held, tail := s.held, s.tail
	s.held, s.tail = "", ""
	for i := range tail {
		if rest := tail[i:]; len(rest) >= minOverlap && strings.HasPrefix(held, rest) {
			held = held[len(rest):]
			break
		}
	}
	if held == "" {
		return nil
	}
	return s.Output.Append(Content, held)
}
