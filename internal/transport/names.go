package transport

import (
	"encoding/json"
	"strings"
)

// maxNesting is how deep objects and lists may stand in each other.
const maxNesting = 64

// distinctNames reports whether no object in a JSON text has a name twice. At the top, where
// names are fields of ours that encoding/json finds in any case, they must differ in more
// than that. What lies too deep is refused too. The text must be valid JSON, or empty.
func distinctNames(text []byte) bool {
	var open []names
	wantsName := false
	for i := 0; i < len(text); i++ {
		if len(open) > maxNesting {
			return false
		}
		switch text[i] {
		case '{':
			open = append(open, names{folded: len(open) == 0})
			wantsName = true
		case '[':
			open = append(open, names{list: true})
			wantsName = false
		case '}', ']':
			open = open[:len(open)-1]
			wantsName = false
		case ',':
			wantsName = len(open) > 0 && !open[len(open)-1].list
		case '"':
			end, escaped := i+1, false
			for ; text[end] != '"'; end++ {
				if text[end] == '\\' {
					escaped = true
					end++
				}
			}
			if wantsName && !open[len(open)-1].add(text[i:end+1], escaped) {
				return false
			}
			wantsName = false
			i = end
		}
	}
	return true
}

// names are those of one object that is being read.
type names struct {
	list, folded bool // list: it is no object
	few          [8]string
	n            int
	many         map[string]struct{} // when there are more than fit into few
}

// add takes a name as it is written, and reports whether it is new.
func (s *names) add(quoted []byte, escaped bool) bool {
	name := string(quoted[1 : len(quoted)-1])
	if escaped && json.Unmarshal(quoted, &name) != nil {
		return false // It was valid.
	}
	if s.folded {
		name = strings.ToLower(strings.ToUpper(name)) // Letters such as ſ have an upper case only.
	}
	if s.many != nil {
		if _, known := s.many[name]; known {
			return false
		}
		s.many[name] = struct{}{}
		return true
	}
	for _, known := range s.few[:s.n] {
		if known == name {
			return false
		}
	}
	if s.n < len(s.few) {
		s.few[s.n] = name
		s.n++
		return true
	}
	s.many = make(map[string]struct{}, 4*len(s.few))
	for _, known := range s.few {
		s.many[known] = struct{}{}
	}
	s.many[name] = struct{}{}
	return true
}
