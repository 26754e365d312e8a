package upstream

import (
	"bytes"
	"errors"
	"strconv"
	"unicode/utf8"

	"parley/internal/reply"
)

// errNotJSON is a frame that the protocol does not allow.
var errNotJSON = errors.New("a frame of the stream is not JSON")

// frame is what one frame of a stream says. It is reused from frame to frame;
// the slices are valid until the next parse. Text may hold invalid UTF-8, as a
// server may split a character over two frames.
type frame struct {
	text      []byte
	reasoning []byte
	finish    string
	model     []byte
	usage     reply.Usage // all zero when the frame does not count
	failed    bool        // the frame reports an error
	choices   bool        // the frame has the member that makes it one of the protocol

	other []byte // the second spelling of reasoning, of the choice being read
	key   []byte // a key with escapes
}

// parse reads a frame in one pass, without reflection and, once the slices have
// grown, without allocation. See BenchmarkFrame for what that saves. Members that
// it does not know are skipped, but must be JSON.
func (f *frame) parse(data []byte) error {
	f.text, f.reasoning, f.model = f.text[:0], f.reasoning[:0], f.model[:0]
	f.finish, f.failed, f.choices, f.usage = "", false, false, reply.Usage{}
	p := parser{data: data}
	if !p.object(f, func(key []byte) bool { return f.member(&p, key) }) {
		return errNotJSON
	}
	if p.space(); p.pos != len(p.data) {
		return errNotJSON
	}
	return nil
}

func (f *frame) member(p *parser, key []byte) (ok bool) {
	switch string(key) {
	case "choices":
		f.choices = true
		if p.peek() != '[' {
			return p.skip(0)
		}
		return p.array(func() bool { return f.choice(p) })
	case "usage":
		if p.peek() != '{' {
			return p.skip(0)
		}
		return f.readUsage(p)
	case "model":
		f.model, ok = p.text(f.model[:0])
		return ok
	case "error":
		start := p.at()
		if !p.skip(0) {
			return false
		}
		switch string(bytes.TrimSpace(p.data[start:p.pos])) {
		case "null", "false", `""`:
		default:
			f.failed = true
		}
		return true
	case "object", "type":
		// Old vLLM and Anthropic's dialect name the kind of the frame instead.
		start := p.at()
		ok := p.skip(0)
		f.failed = f.failed || string(p.data[start:p.pos]) == `"error"`
		return ok
	default:
		return p.skip(0)
	}
}

// choice reads one choice. Only the one with index 0 counts, and its index may
// come last, so that what was read is taken back if it is another one.
func (f *frame) choice(p *parser) bool {
	if p.peek() != '{' {
		return p.skip(0)
	}
	text, reasoning, finish, index := len(f.text), len(f.reasoning), f.finish, 0
	f.other = f.other[:0]
	ok := p.object(f, func(key []byte) bool {
		switch string(key) {
		case "index":
			index = p.number()
			return index >= 0
		case "finish_reason":
			var buf [24]byte
			reason, ok := p.text(buf[:0])
			f.finish = string(reason)
			return ok
		case "delta", "message":
			// A server that does not stream sends one message in place of deltas.
			if p.peek() != '{' {
				return p.skip(0)
			}
			return p.object(f, func(key []byte) bool { return f.delta(p, key) })
		default:
			return p.skip(0)
		}
	})
	if len(f.reasoning) == reasoning {
		f.reasoning = append(f.reasoning, f.other...)
	}
	if index != 0 {
		f.text, f.reasoning, f.finish = f.text[:text], f.reasoning[:reasoning], finish
	}
	return ok
}

func (f *frame) delta(p *parser, key []byte) (ok bool) {
	switch string(key) {
	case "content":
		if p.peek() == '[' {
			return p.array(func() bool { return f.part(p) })
		}
		f.text, ok = p.text(f.text)
	case "refusal":
		// A model that refuses to fill in a schema says so here and nothing in
		// content; to the reader it is the reply.
		f.text, ok = p.text(f.text)
	case "reasoning_content":
		f.reasoning, ok = p.text(f.reasoning)
	case "reasoning":
		// Some servers send the same text under both names.
		f.other, ok = p.text(f.other)
	default:
		ok = p.skip(0)
	}
	return ok
}

// part reads one part of a content array, as Mistral's reasoning models send:
// text, or thinking with parts of its own.
func (f *frame) part(p *parser) bool {
	if p.peek() != '{' {
		return p.skip(0)
	}
	return p.object(f, func(key []byte) (ok bool) {
		switch string(key) {
		case "text":
			f.text, ok = p.text(f.text)
			return ok
		case "thinking":
			if p.peek() != '[' {
				f.reasoning, ok = p.text(f.reasoning)
				return ok
			}
			return p.array(func() bool {
				if p.peek() != '{' {
					return p.skip(0)
				}
				return p.object(f, func(key []byte) (ok bool) {
					if string(key) != "text" {
						return p.skip(0)
					}
					f.reasoning, ok = p.text(f.reasoning)
					return ok
				})
			})
		default:
			return p.skip(0)
		}
	})
}

func (f *frame) readUsage(p *parser) bool {
	return p.object(f, func(key []byte) bool {
		var field *int
		switch string(key) {
		case "prompt_tokens":
			field = &f.usage.PromptTokens
		case "completion_tokens":
			field = &f.usage.CompletionTokens
		case "prompt_tokens_details", "completion_tokens_details":
			if p.peek() != '{' {
				return p.skip(0)
			}
			return p.object(f, func(key []byte) bool {
				switch string(key) {
				case "cached_tokens":
					field = &f.usage.CachedTokens
				case "reasoning_tokens":
					field = &f.usage.ReasoningTokens
				default:
					return p.skip(0)
				}
				n := p.number()
				*field = max(n, 0)
				return n >= 0
			})
		default:
			return p.skip(0)
		}
		n := p.number()
		*field = max(n, 0)
		return n >= 0
	})
}

// parser walks JSON text. Its methods skip white space first and report false if
// what follows is not JSON.
type parser struct {
	data []byte
	pos  int
}

// maxNesting bounds the recursion of skip.
const maxNesting = 64

func (p *parser) space() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return
		}
	}
}

// at returns the position of the next value.
func (p *parser) at() int {
	p.space()
	return p.pos
}

// peek returns the first byte of the next value, 0 at the end.
func (p *parser) peek() byte {
	if p.space(); p.pos < len(p.data) {
		return p.data[p.pos]
	}
	return 0
}

func (p *parser) take(b byte) bool {
	if p.peek() != b {
		return false
	}
	p.pos++
	return true
}

// object calls member for each key of an object; member must read the value.
// A key is valid until the value has been read.
func (p *parser) object(f *frame, member func(key []byte) bool) bool {
	if !p.take('{') {
		return false
	}
	if p.take('}') {
		return true
	}
	for {
		start := p.at()
		if !p.skipString() {
			return false
		}
		key := p.data[start+1 : p.pos-1]
		if bytes.IndexByte(key, '\\') >= 0 {
			end := p.pos
			p.pos = start
			f.key, _ = p.text(f.key[:0])
			p.pos = end
			key = f.key
		}
		if !p.take(':') || !member(key) {
			return false
		}
		if p.take(',') {
			continue
		}
		return p.take('}')
	}
}

// array calls item for each value of an array; item must read it.
func (p *parser) array(item func() bool) bool {
	if !p.take('[') {
		return false
	}
	if p.take(']') {
		return true
	}
	for {
		if !item() {
			return false
		}
		if p.take(',') {
			continue
		}
		return p.take(']')
	}
}

// number reads a number that counts something; other values count 0. It returns
// -1 if what follows is not JSON.
func (p *parser) number() int {
	start := p.at()
	if !p.skip(0) {
		return -1
	}
	n, err := strconv.ParseFloat(string(p.data[start:p.pos]), 64)
	if err != nil || !(n > 0) || n > 1<<40 {
		return 0
	}
	return int(n)
}

// text appends the next value to dst if it is a string; other values are skipped.
// Lone surrogates become U+FFFD; bytes that are not UTF-8 are kept.
func (p *parser) text(dst []byte) ([]byte, bool) {
	if p.peek() != '"' {
		return dst, p.skip(0)
	}
	start := p.pos + 1
	if !p.skipString() {
		return dst, false
	}
	s := p.data[start : p.pos-1]
	for {
		i := bytes.IndexByte(s, '\\')
		if i < 0 {
			return append(dst, s...), true
		}
		dst = append(dst, s[:i]...)
		c := s[i+1]
		s = s[i+2:]
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(s)
			s = s[4:]
			if r >= 0xd800 && r < 0xdc00 && len(s) >= 6 && s[0] == '\\' && s[1] == 'u' {
				if low := hex4(s[2:]); low >= 0xdc00 && low < 0xe000 {
					r = (r-0xd800)<<10 + (low - 0xdc00) + 0x10000
					s = s[6:]
				}
			}
			dst = utf8.AppendRune(dst, r) // Surrogates are appended as U+FFFD.
		default:
			dst = append(dst, c)
		}
	}
}

// hex4 decodes four digits that skipString has checked.
func hex4(s []byte) (r rune) {
	for _, c := range s[:4] {
		r <<= 4
		switch {
		case c <= '9':
			r |= rune(c - '0')
		default:
			r |= rune(c|0x20-'a') + 10
		}
	}
	return r
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'
}

func (p *parser) skipString() bool {
	if !p.take('"') {
		return false
	}
	for p.pos < len(p.data) {
		c := p.data[p.pos]
		p.pos++
		switch {
		case c == '"':
			return true
		case c < ' ':
			return false
		case c == '\\':
			if p.pos == len(p.data) {
				return false
			}
			c = p.data[p.pos]
			p.pos++
			switch c {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if len(p.data)-p.pos < 4 {
					return false
				}
				for _, h := range p.data[p.pos : p.pos+4] {
					if !isHex(h) {
						return false
					}
				}
				p.pos += 4
			default:
				return false
			}
		}
	}
	return false
}

// skip reads over any value.
func (p *parser) skip(depth int) bool {
	if depth > maxNesting {
		return false
	}
	switch c := p.peek(); c {
	case '"':
		return p.skipString()
	case '{':
		p.pos++
		if p.take('}') {
			return true
		}
		for {
			if p.peek() != '"' || !p.skipString() || !p.take(':') || !p.skip(depth+1) {
				return false
			}
			if !p.take(',') {
				return p.take('}')
			}
		}
	case '[':
		return p.array(func() bool { return p.skip(depth + 1) })
	case 't':
		return p.literal("true")
	case 'f':
		return p.literal("false")
	case 'n':
		return p.literal("null")
	default:
		start := p.pos
		for p.pos < len(p.data) && isNumberByte(p.data[p.pos]) {
			p.pos++
		}
		return p.pos > start
	}
}

func (p *parser) literal(s string) bool {
	if !bytes.HasPrefix(p.data[p.pos:], []byte(s)) {
		return false
	}
	p.pos += len(s)
	return true
}

// isNumberByte is lax: a number that is none does no harm in a member that is
// skipped, and counts 0 in one that is read.
func isNumberByte(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}
