package reply

import "parley/ent"

// Channel names one of the texts that a reply consists of.
type Channel uint8

// The channels. Their order is the one in which a watcher is given what is new, and the
// one of cursors and of the wire. A new channel is added at the end and needs its column
// in the row; nothing else knows how many there are.
const (
	// Reasoning is what the model thinks before it answers.
	Reasoning Channel = iota
	// Content is the answer.
	Content

	channels
)

// Position is a place in a reply: the bytes of each channel that lie before it. It is on
// a rune boundary of each.
type Position [channels]int

// Texts holds a text for each channel.
type Texts [channels]string

// Column names the column of the messages that keeps the text of a channel.
func (c Channel) Column() string {
	name, _ := c.column(new(ent.Message))
	return name
}

// column is where a row keeps the text of a channel.
func (c Channel) column(m *ent.Message) (name string, text *string) {
	switch c {
	case Reasoning:
		return "reasoning", &m.Reasoning
	case Content:
		return "content", &m.Content
	}
	panic("a channel without a column")
}

// TextsOf returns what a row holds.
func TextsOf(m *ent.Message) Texts {
	var t Texts
	for c := range t {
		_, text := Channel(c).column(m)
		t[c] = *text
	}
	return t
}

// put makes the texts those of a row in memory.
func (t Texts) put(m *ent.Message) {
	for c := range t {
		_, text := Channel(c).column(m)
		*text = t[c]
	}
}

// set makes the texts those of the rows that an update changes.
func (t Texts) set(u *ent.MessageUpdate) *ent.MessageUpdate {
	for c, text := range t {
		if err := u.Mutation().SetField(Channel(c).Column(), text); err != nil {
			panic(err) // Only a name that is no column, or no text.
		}
	}
	return u
}

// size is how many bytes the texts have together.
func (t Texts) size() int {
	n := 0
	for _, text := range t {
		n += len(text)
	}
	return n
}

// end is the position behind the texts.
func (t Texts) end() Position {
	var p Position
	for c, text := range t {
		p[c] = len(text)
	}
	return p
}

// at returns how the texts began, up to a position or to their end.
func (t Texts) at(p Position) Texts {
	for c := range t {
		t[c] = t[c][:min(p[c], len(t[c]))]
	}
	return t
}

// liveTexts is the text of each channel while it grows. Like text it is guarded by its
// owner's lock.
type liveTexts [channels]text

// size is how many bytes there are of all channels together.
func (t *liveTexts) size() int {
	n := 0
	for c := range t {
		n += len(t[c].bytes)
	}
	return n
}

// end is the position behind everything that is there.
func (t *liveTexts) end() Position {
	var p Position
	for c := range t {
		p[c] = len(t[c].bytes)
	}
	return p
}

// all returns what is there, without copying it.
func (t *liveTexts) all() Texts {
	var all Texts
	for c := range t {
		all[c] = t[c].all()
	}
	return all
}

// append adds to each channel.
func (t *liveTexts) append(more Texts) {
	for c := range t {
		t[c].append(more[c])
	}
}

// flush ends all texts.
func (t *liveTexts) flush() {
	for c := range t {
		t[c].flush()
	}
}

// reaches reports whether no channel ends before a position.
func (t *liveTexts) reaches(p Position) bool {
	for c := range t {
		if len(t[c].bytes) < p[c] {
			return false
		}
	}
	return true
}

// next returns the first channel that has more than lies before a position. There is none
// while another one has less: a copy has to come so far first. It also reports whether the
// position lies within a rune.
func (t *liveTexts) next(p Position) (c Channel, more, broken bool) {
	behind := false
	for i := len(t) - 1; i >= 0; i-- {
		switch n := len(t[i].bytes); {
		case n < p[i]:
			behind = true
		case n > p[i]:
			c, more = Channel(i), true
			broken = broken || !t[i].begins(p[i])
		}
	}
	return c, more && !behind, broken
}

// part returns at most max bytes from a position on, earlier channels first, and where
// they lie.
func (t *liveTexts) part(from Position, max int) (Position, Texts) {
	var texts Texts
	for c := range t {
		from[c], texts[c] = t[c].part(from[c], max)
		max -= len(texts[c])
	}
	return from, texts
}
