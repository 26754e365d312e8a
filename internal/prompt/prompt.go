// Package prompt decides what a model is sent of a conversation: which messages of
// the visible line, how neighbours are joined, and how many tokens that makes. It is
// pure: it reads no database and no clock, and the same line gives the same prompt.
//
// Its one invariant is what the strictest model servers and chat templates ask for,
// whatever the line holds: at most one system message, and it comes first; then
// questions and replies take turns, and the first and the last are questions; no
// message is blank.
//
// prompt.go is what a prompt is, line.go makes one of rows, window.go chooses the rows when there are more than a plan
// allows (plan.go), which follows from settings.go; tokens.go estimates.
package prompt

import "strings"

// Role is who speaks in a prompt, as the model servers spell it.
type Role string

// The roles of a prompt.
const (
	System    Role = "system"
	User      Role = "user"
	Assistant Role = "assistant"
)

// Message is one message of a prompt.
type Message struct {
	Role Role
	// Parts are what the message is made of, in order. It has more than one when
	// neighbours were joined.
	Parts []Part
}

// Part is a piece of a message.
type Part struct {
	Text string
}

// Joint stands between the texts of a message.
const Joint = "\n\n"

// Say returns a message of one text.
func Say(role Role, text string) Message {
	return Message{Role: role, Parts: []Part{{Text: text}}}
}

// Text returns the texts of the message, with an empty line between two of them.
func (m Message) Text() string {
	if len(m.Parts) == 1 { // Nearly always, and then it is not copied.
		return m.Parts[0].Text
	}
	var b strings.Builder
	b.Grow(m.size())
	for i, p := range m.Parts {
		if i > 0 {
			b.WriteString(Joint)
		}
		b.WriteString(p.Text)
	}
	return b.String()
}

// size is the length of Text in bytes.
func (m Message) size() int {
	n := 0
	for i, p := range m.Parts {
		if i > 0 {
			n += len(Joint)
		}
		n += len(p.Text)
	}
	return n
}
