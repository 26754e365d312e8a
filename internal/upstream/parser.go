package upstream

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

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

// holds reads a value and reports whether it says anything: null, false, 0 and "" do not, and
// nor do arrays and objects of nothing else.
func (p *parser) holds(depth int) (some, ok bool) {
	if depth > maxNesting {
		return false, false
	}
	start := p.at()
	switch p.peek() {
	case '[':
		ok = p.array(func() bool {
			one, ok := p.holds(depth + 1)
			some = some || one
			return ok
		})
	case '{':
		p.pos++
		if p.take('}') {
			return false, true
		}
		for {
			if p.peek() != '"' || !p.skipString() || !p.take(':') {
				return false, false
			}
			one, ok := p.holds(depth + 1)
			if !ok {
				return false, false
			}
			some = some || one
			if !p.take(',') {
				return some, p.take('}')
			}
		}
	case '"':
		ok = p.skipString()
		some = p.pos-start > len(`""`)
	case 't':
		return true, p.literal("true")
	default:
		ok = p.skip(depth)
		some = bytes.ContainsAny(p.data[start:p.pos], "123456789")
	}
	return some, ok
}
