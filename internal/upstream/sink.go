package upstream

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"parley/internal/reply"
)

var errReplyTooLong = errors.New("the reply is longer than allowed")

// sink cleans the text of a reply on its way to the Output. It passes only valid
// UTF-8 without NUL, which Postgres cannot store, and bounds text and reasoning.
type sink struct {
	out     reply.Output
	limit   int
	streams [len(reply.Texts{})]stream
	// reasoning and content were gathered, to be passed on in one piece each.
	reasoning, content []byte
	// ruler measures the content; said is set when there is more in it than white space.
	ruler ruler
	said  bool
	// wrote is set once anything has been passed on; from then on the call must
	// not be repeated. begun is called before that.
	wrote bool
	begun func()
}

// stream is one of the texts of a reply.
type stream struct {
	held  []byte // the start of a character whose rest is still to come
	bytes int
}

// reset forgets held bytes before the call is repeated.
func (s *sink) reset() {
	for c := range s.streams {
		s.streams[c].held = nil
	}
}

// flush passes on what is left of a character that was never completed.
func (s *sink) flush() error {
	for c := range s.streams {
		if len(s.streams[c].held) == 0 {
			continue
		}
		s.streams[c].held = nil
		if err := s.write(reply.Channel(c), []byte("\ufffd")); err != nil {
			return err
		}
	}
	return nil
}

// gather takes what a frame adds to the texts. Frames that have arrived together are passed
// on together: each piece wakes all who watch the reply.
func (s *sink) gather(reasoning, content []byte) {
	s.reasoning = append(s.reasoning, reasoning...)
	s.content = append(s.content, content...)
}

// pass passes on what was gathered.
func (s *sink) pass() error {
	reasoning, content := s.reasoning, s.content
	s.reasoning, s.content = s.reasoning[:0], s.content[:0]
	if err := s.write(reply.Reasoning, reasoning); err != nil {
		return err
	}
	return s.write(reply.Content, content)
}

// write adds to the text of one channel.
func (s *sink) write(c reply.Channel, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	to := &s.streams[c]
	if len(to.held) > 0 {
		b = append(to.held, b...)
		to.held = nil
	}
	if n := unfinished(b); n > 0 {
		to.held = bytes.Clone(b[len(b)-n:])
		b = b[:len(b)-n]
	}
	if len(b) == 0 {
		return nil
	}
	if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		b = bytes.ToValidUTF8(b, []byte("\ufffd"))
		b = bytes.ReplaceAll(b, []byte{0}, []byte("\ufffd"))
	}
	room := s.limit - to.bytes
	full := len(b) > room
	if full {
		b = b[:room]
		b = b[:len(b)-unfinished(b)]
	}
	if len(b) > 0 {
		to.bytes += len(b)
		if !s.wrote {
			s.wrote = true
			s.begun()
		}
		text := string(b)
		if c == reply.Content {
			s.ruler.add(text)
			s.said = s.said || strings.TrimSpace(text) != ""
		}
		if err := s.out.Append(c, text); err != nil {
			return err
		}
	}
	if full {
		return &reply.Error{Code: reply.CodeLimit, Status: http.StatusOK, Err: errReplyTooLong}
	}
	return nil
}

// unfinished returns how many bytes at the end of b begin a character that b does
// not finish.
func unfinished(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		c := b[len(b)-n]
		if utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}
