package upstream

// The bounds of a line of a stream that is longer than a text needs, such as one with an image.
const (
	// skimFrom is the length from which a line is skimmed: values in it that are too long and
	// no text are cut.
	skimFrom = 64 << 10
	// skimKeep is how much of such a value is kept.
	skimKeep = 8 << 10
	// skimMost is how long a line may be in all, in limits for what is kept of it.
	skimMost = 32
)

// skimmer reads a line of JSON as it comes and cuts long strings that carry no text: images,
// audio, signatures. So the line stays JSON and becomes short. It looks at the name of each
// member: what may hold text of the reply is never cut. Other lines pass as they are.
type skimmer struct {
	keep int

	inString, escaped bool
	hex               int // digits of an escape that are still to come
	length            int // bytes of the string
	cut               bool
	name              []byte // the last string, as far as it may be the name of a member
	odd               bool   // it holds escapes
	depth             int
	texts             [maxNesting]bool // by depth: what the values there may be
}

// textMembers are those that may carry text of the reply, of any length.
var textMembers = map[string]bool{
	"content": true, "text": true, "refusal": true, "reasoning_content": true, "reasoning": true,
	"reasoning_text": true, "thinking": true, "thought": true, "thoughts": true, "summary": true,
	"transcript": true, "value": true, "output_text": true,
}

// maxTextMember is about the length of the longest of them.
const maxTextMember = 32

// reset begins a line. Where it stands in a document is not known: all may be text.
func (s *skimmer) reset(keep int) {
	*s = skimmer{keep: keep, name: s.name[:0]}
	s.texts[0] = true
}

// skim appends to line what is kept of b, which follows it.
func (s *skimmer) skim(line, b []byte) []byte {
	for len(b) > 0 {
		if !s.inString {
			line = append(line, b[0])
			s.outside(b[0])
			b = b[1:]
			continue
		}
		n := s.plain(b)
		if n > 0 {
			kept := n
			if !s.texts[s.depth] {
				kept = min(n, max(0, s.keep-s.length))
				s.cut = s.cut || kept < n
			}
			s.remember(b[:n]) // First: line may be made in place of b.
			line = append(line, b[:kept]...)
			s.length += n
			b = b[n:]
			continue
		}
		if s.special(b[0]) || !s.cut {
			line = append(line, b[0])
		}
		b = b[1:]
	}
	return line
}

// plain returns how many bytes of a string have no meaning of their own.
func (s *skimmer) plain(b []byte) int {
	if s.escaped || s.hex > 0 {
		return 0
	}
	for i, c := range b {
		if c == '"' || c == '\\' {
			return i
		}
	}
	return len(b)
}

// special takes a quote or a byte of an escape. It reports whether the string ends.
func (s *skimmer) special(c byte) (ends bool) {
	s.length++
	switch {
	case s.hex > 0:
		s.hex--
	case s.escaped:
		s.escaped = false
		if c == 'u' {
			s.hex = 4
		}
	case c == '\\':
		s.escaped, s.odd = true, true
		s.cut = s.cut || !s.texts[s.depth] && s.length > s.keep
	default:
		s.inString = false
		return true
	}
	return false
}

func (s *skimmer) remember(b []byte) {
	if room := maxTextMember + 1 - len(s.name); room > 0 {
		s.name = append(s.name, b[:min(len(b), room)]...)
	}
}

// outside takes a byte between strings.
func (s *skimmer) outside(c byte) {
	switch c {
	case '"':
		s.inString, s.odd, s.cut, s.length, s.name = true, false, false, 0, s.name[:0]
	case ':':
		s.texts[s.depth] = s.odd || textMembers[string(s.name)]
	case '{', '[':
		if s.depth+1 < len(s.texts) {
			s.depth++
			s.texts[s.depth] = s.texts[s.depth-1] && c == '['
		}
	case '}', ']':
		if s.depth > 0 {
			s.depth--
		}
	}
}
