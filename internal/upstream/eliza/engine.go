package eliza

import (
	"slices"
	"strings"
	"unicode"
)

// A keyword is a word that the program reacts to. Of several in a sentence the one
// with the highest rank is tried first.
type keyword struct {
	word  string
	rank  int
	rules []rule
}

// A rule takes a sentence apart and puts a reply together. In a pattern * stands
// for any words, @name for one word of a class, and everything else for itself. A
// reply may use what each * and @ stood for as $1, $2, …, turned round so that
// "my" becomes "your". A reply "=word" goes on with that keyword's rules. The
// replies of a rule take turns.
type rule struct {
	pattern string
	replies []string
	// memory: the reply is not given now but kept for when there is nothing to say.
	memory bool
}

// engine is the state of one conversation. Not safe for concurrent use.
type engine struct {
	keywords map[string]*keyword
	turns    map[string]int // how often a rule was used, by keyword and pattern
	memories []string
	silence  int // sentences without a keyword
}

func newEngine() *engine {
	e := &engine{keywords: make(map[string]*keyword), turns: make(map[string]int)}
	keywords := script()
	for i := range keywords {
		e.keywords[keywords[i].word] = &keywords[i]
	}
	return e
}

// respond takes one message of the user and returns the reply.
func (e *engine) respond(input string) string {
	for _, clause := range clauses(input) {
		for _, k := range e.rank(clause) {
			e.remember(k, clause)
			if reply, ok := e.apply(k, clause, 0); ok {
				return finish(reply)
			}
		}
	}
	e.silence++
	// Not at the first silence: a memory is convincing when it comes unexpectedly.
	if len(e.memories) > 0 && e.silence%2 == 0 {
		reply := e.memories[0]
		e.memories = e.memories[1:]
		return finish(reply)
	}
	reply, _ := e.apply(e.keywords[noKeyword], nil, 0)
	return finish(reply)
}

// rank returns the keywords of a clause, highest rank first.
func (e *engine) rank(clause []string) []*keyword {
	var found []*keyword
	for _, word := range clause {
		if k := e.keywords[word]; k != nil && word != noKeyword && !slices.Contains(found, k) {
			found = append(found, k)
		}
	}
	slices.SortStableFunc(found, func(a, b *keyword) int { return b.rank - a.rank })
	return found
}

// maxMemories bounds what is kept for later.
const maxMemories = 10

func (e *engine) remember(k *keyword, clause []string) {
	for _, r := range k.rules {
		if !r.memory {
			continue
		}
		if parts, ok := match(strings.Fields(r.pattern), clause); ok && len(e.memories) < maxMemories {
			e.memories = append(e.memories, fill(e.turn(k, r), parts))
		}
	}
}

// maxJumps bounds the replies of the form "=word" in a row.
const maxJumps = 5

func (e *engine) apply(k *keyword, clause []string, jumps int) (string, bool) {
	for _, r := range k.rules {
		if r.memory {
			continue
		}
		parts, ok := match(strings.Fields(r.pattern), clause)
		if !ok {
			continue
		}
		reply := e.turn(k, r)
		if target, ok := strings.CutPrefix(reply, "="); ok {
			if next := e.keywords[target]; next != nil && jumps < maxJumps {
				return e.apply(next, clause, jumps+1)
			}
			continue
		}
		return fill(reply, parts), true
	}
	return "", false
}

// turn returns the next reply of a rule.
func (e *engine) turn(k *keyword, r rule) string {
	key := k.word + "\x00" + r.pattern
	n := e.turns[key]
	e.turns[key] = n + 1
	return r.replies[n%len(r.replies)]
}

// match takes words apart by a pattern and returns what each * and @ stood for.
// A * takes as few words as it can.
func match(pattern, words []string) ([][]string, bool) {
	if len(pattern) == 0 {
		return nil, len(words) == 0
	}
	if pattern[0] == "*" {
		// The last * takes the rest, so that no time is lost in long sentences.
		if len(pattern) == 1 {
			return [][]string{words}, true
		}
		for n := 0; n <= len(words); n++ {
			if rest, ok := match(pattern[1:], words[n:]); ok {
				return append([][]string{words[:n]}, rest...), true
			}
		}
		return nil, false
	}
	if len(words) == 0 {
		return nil, false
	}
	if name, ok := strings.CutPrefix(pattern[0], "@"); ok {
		if !slices.Contains(classes(name), words[0]) {
			return nil, false
		}
		rest, ok := match(pattern[1:], words[1:])
		return append([][]string{words[:1]}, rest...), ok
	}
	if pattern[0] != words[0] {
		return nil, false
	}
	return match(pattern[1:], words[1:])
}

// fill puts the parts, seen from the other side, into a reply.
func fill(reply string, parts [][]string) string {
	var b strings.Builder
	for i := 0; i < len(reply); i++ {
		if reply[i] == '$' && i+1 < len(reply) && reply[i+1] >= '1' && reply[i+1] <= '9' {
			i++
			if n := int(reply[i] - '1'); n < len(parts) {
				b.WriteString(turnRound(parts[n]))
			}
			continue
		}
		b.WriteByte(reply[i])
	}
	return b.String()
}

func turnRound(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		if other, ok := otherSide(w); ok {
			w = other
		}
		if w == "I" && i == len(words)-1 {
			w = "me" // At the end it is what something is done to.
		}
		out[i] = w
	}
	return strings.Join(out, " ")
}

// finish tidies the white space that an empty part leaves behind.
func finish(reply string) string {
	reply = strings.Join(strings.Fields(reply), " ")
	for _, mark := range []string{"?", ".", ",", "!"} {
		reply = strings.ReplaceAll(reply, " "+mark, mark)
	}
	return reply
}

// maxWords of a message are looked at.
const maxWords = 200

// clauses splits a message into clauses of words: lower case, without marks, with
// short forms spelled out.
func clauses(input string) [][]string {
	var all [][]string
	var clause []string
	end := func() {
		if len(clause) > 0 {
			all = append(all, clause)
			clause = nil
		}
	}
	words := 0
	for _, field := range strings.Fields(strings.ToLower(strings.ReplaceAll(input, "’", "'"))) {
		if words++; words > maxWords {
			break
		}
		last := strings.ContainsAny(field[len(field)-1:], ".,;:!?")
		word := strings.TrimFunc(field, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		if word == "but" {
			end()
		} else if word != "" {
			clause = append(clause, expand(word)...)
		}
		if last {
			end()
		}
	}
	end()
	return all
}
