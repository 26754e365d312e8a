package upstream

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// tagPattern is a name in Config.ThinkTags.
var tagPattern = regexp.MustCompile(`^/?[A-Za-z][A-Za-z0-9_-]{0,31}$`)

// ValidateThinkTags says what is wrong with the names of Config.ThinkTags.
func ValidateThinkTags(tags []string) error {
	for _, tag := range tags {
		// Somebody who writes on or true means something else.
		if !tagPattern.MatchString(tag) || slices.Contains([]string{"on", "off", "true", "false"}, tag) {
			return fmt.Errorf("%q is no name of a tag", tag)
		}
	}
	return nil
}

// thoughts takes apart a text that begins with reasoning between tags, such as
// <think>…</think>, from servers that have no parser for their model. Tags count at the
// beginning only: behind the first word of the answer they are its text. The first closing tag
// ends the reasoning, as in the parsers of vLLM and llama.cpp. White space around both parts is
// none of them. It is used by one goroutine, for one reply.
type thoughts struct {
	tags   []string
	opened string // the tag that the model's template has opened, if one has
	state  thoughtState
	tag    string // the one that is open
	held   []byte // the beginning of a tag, or white space, that waits for what follows
	out    []byte // the reasoning of one split
	fresh  bool   // nothing but white space has followed the opening tag
	some   bool   // there was reasoning
	begun  bool   // there was a tag
	whole  []byte // the reasoning so far, when it may turn out to be the answer
	// skipped is how many code points of the server's text are not in the answer.
	skipped int
}

type thoughtState uint8

const (
	beforeTag thoughtState = iota
	insideTag
	behindTags
)

// maxThoughtHeld bounds how much white space is held back.
const maxThoughtHeld = 4 << 10

// newThoughts returns nil when there is nothing to take apart.
func newThoughts(tags []string) *thoughts {
	if len(tags) == 0 {
		return nil
	}
	t := &thoughts{}
	for _, tag := range tags {
		name, opened := strings.CutPrefix(tag, "/")
		t.tags = append(t.tags, name)
		if opened && t.opened == "" {
			t.opened = name
		}
	}
	return t
}

// split returns the reasoning and the answer in the next piece of a text. Both are valid until
// the next call.
func (t *thoughts) split(piece []byte) (reasoning, answer []byte) {
	if t == nil || t.state == behindTags || len(piece) == 0 {
		return nil, piece
	}
	t.skipped += points(piece)
	b := slices.Concat(t.held, piece)
	t.held, t.out = nil, t.out[:0]
	for len(b) > 0 {
		switch t.state {
		case beforeTag:
			b = t.before(b)
		case insideTag:
			b = t.within(b)
		default:
			t.skipped -= points(b)
			return t.out, b
		}
	}
	return t.out, nil
}

// before looks for an opening tag, and returns what is behind it. It holds back what may become
// one.
func (t *thoughts) before(b []byte) []byte {
	rest := bytes.TrimLeft(b, " \t\r\n")
	for _, tag := range t.tags {
		if rest, ok := cutFold(rest, "<"+tag+">"); ok {
			t.open(tag)
			return rest
		}
	}
	if len(b) <= maxThoughtHeld && t.mayOpen(rest) {
		t.held = bytes.Clone(b)
		return nil
	}
	if t.opened != "" && !t.begun {
		t.open(t.opened)
		return rest
	}
	t.state = behindTags
	if t.begun {
		return rest
	}
	for _, tag := range t.tags {
		if thought, answer, ok := closedOnly(b, tag); ok {
			t.think(bytes.TrimSpace(thought))
			return answer
		}
	}
	return b
}

// closedOnly finds the closing tag, at the end of a line, of a text whose template has opened
// it, and nobody has said so. It is not too late when all of the text has come at once.
func closedOnly(b []byte, tag string) (thought, answer []byte, ok bool) {
	end := "</" + tag + ">"
	at := indexFold(b, end)
	if at < 0 || indexFold(b[:at], "<"+tag+">") >= 0 {
		return nil, nil, false
	}
	answer = b[at+len(end):]
	if rest := bytes.TrimLeft(answer, " \t\r"); len(rest) > 0 && rest[0] != '\n' {
		return nil, nil, false
	}
	return b[:at], bytes.TrimLeft(answer, " \t\r\n"), true
}

func (t *thoughts) open(tag string) { t.state, t.tag, t.fresh, t.begun = insideTag, tag, true, true }

// mayOpen reports whether b, without white space before it, may become an opening tag.
func (t *thoughts) mayOpen(b []byte) bool {
	return slices.ContainsFunc(t.tags, func(tag string) bool {
		tag = "<" + tag + ">"
		return len(b) < len(tag) && strings.EqualFold(string(b), tag[:len(b)])
	})
}

// within takes reasoning up to the closing tag, and returns what is behind it. It holds back
// what may become one, with white space before it.
func (t *thoughts) within(b []byte) []byte {
	if t.fresh {
		if b = bytes.TrimLeft(b, " \t\r\n"); len(b) == 0 {
			return nil
		}
	}
	end := "</" + t.tag + ">"
	if at := indexFold(b, end); at >= 0 {
		t.think(bytes.TrimRight(b[:at], " \t\r\n"))
		t.state, t.whole = beforeTag, nil
		return b[at+len(end):]
	}
	keep := 0
	for n := min(len(end)-1, len(b)); n > 0; n-- {
		if strings.EqualFold(string(b[len(b)-n:]), end[:n]) {
			keep = n
			break
		}
	}
	sure := bytes.TrimRight(b[:len(b)-keep], " \t\r\n")
	if len(b)-len(sure) > maxThoughtHeld {
		sure = b[:len(b)-keep]
	}
	t.held = bytes.Clone(b[len(sure):])
	t.think(sure)
	return nil
}

func (t *thoughts) think(b []byte) {
	if len(b) == 0 {
		return
	}
	if t.fresh && t.some {
		t.out = append(t.out, "\n\n"...)
	}
	t.fresh, t.some = false, true
	t.out = append(t.out, b...)
	if t.opened != "" && t.state == insideTag {
		t.whole = append(t.whole, b...)
	}
}

// flush returns what was held back when the text has ended: of one that was cut nothing, since that
// is white space, or half a tag. A text of a template that opens the
// tag, in which nothing closes it, has not thought: a whole one is the answer, too, so that
// there is one.
func (t *thoughts) flush(whole bool) (reasoning, answer []byte) {
	if t == nil || t.state == behindTags {
		return nil, nil
	}
	held := t.held
	if t.held = nil; !whole {
		return nil, nil
	}
	if t.state == beforeTag {
		if t.begun {
			held = bytes.TrimLeft(held, " \t\r\n")
		}
		t.skipped -= points(held)
		return nil, held
	}
	held = bytes.TrimRight(held, " \t\r\n")
	if t.opened != "" {
		t.skipped = 0
		return held, append(t.whole, held...)
	}
	return held, nil
}

// cutFold is bytes.CutPrefix, without a look at the case of ASCII.
func cutFold(b []byte, prefix string) ([]byte, bool) {
	if len(b) >= len(prefix) && strings.EqualFold(string(b[:len(prefix)]), prefix) {
		return b[len(prefix):], true
	}
	return b, false
}

// indexFold is bytes.Index, without a look at the case of ASCII.
func indexFold(b []byte, sub string) int {
	for at := 0; at+len(sub) <= len(b); at++ {
		next := bytes.IndexByte(b[at:], sub[0])
		if next < 0 {
			return -1
		}
		if at += next; at+len(sub) <= len(b) && strings.EqualFold(string(b[at:at+len(sub)]), sub) {
			return at
		}
	}
	return -1
}

// points counts code points, also of a text that is cut inside one.
func points(b []byte) (n int) {
	for _, c := range b {
		if c&0xc0 != 0x80 {
			n++
		}
	}
	return n
}
