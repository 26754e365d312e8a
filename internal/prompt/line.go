package prompt

import "strings"

// Row is a message of the visible line, as it is stored. A long line has many: fields of one
// byte stand together.
type Row struct {
	Role    Role
	Content string
	// Index is its place on the line.
	Index  int
	Status Status
	// Refused says of a reply that the model server would not answer what it was asked,
	// because of what that says.
	Refused bool
	// Alone says of a reply that nothing which was there before its question was sent.
	Alone bool
}

// Status is how far a stored message has come. The zero value is that of a message which is
// not sent.
type Status uint8

// The statuses that a prompt tells apart.
const (
	Completed Status = iota + 1
	Stopped
	Failed
	Interrupted
)

// StoredRole returns the role that a row names, "" for one that is not sent. It keeps
// nothing of word.
func StoredRole(word string) Role {
	switch word {
	case "SYSTEM":
		return System
	case "USER":
		return User
	case "ASSISTANT":
		return Assistant
	}
	return ""
}

// StoredStatus returns the status that a row names, 0 for one that a prompt does not know.
func StoredStatus(word string) Status {
	switch word {
	case "COMPLETED":
		return Completed
	case "STOPPED":
		return Stopped
	case "FAILED":
		return Failed
	case "INTERRUPTED":
		return Interrupted
	}
	return 0
}

// Of returns the prompt for the reply that follows these rows of a line. They are in
// index order. It keeps their texts and copies none.
//
// It sends the system prompt, questions that were neither cancelled nor refused, and the
// text of replies that have ended, however they have. Blank texts are left out, since servers
// refuse them. Neighbours of one role are joined: two questions meet when the reply between
// them has failed before its first word. All system texts are joined into the first message.
// Replies before the first question and after the last one are left out, and so are those to a
// question that is.
func Of(rows []Row) []Message {
	return assemble(rows, "", nil)
}

// assemble makes a prompt of what stands at the head of a line, of a summary, "" for none, and
// of the rest of the line.
func assemble(head []Row, summary string, rest []Row) []Message {
	room := len(head) + len(rest) + 1
	b := builder{messages: make([]Message, 0, room), parts: make([]Part, 0, room)}
	b.system(head)
	b.add(System, summary)
	b.system(rest)
	asked := false
	for _, rows := range [...][]Row{head, rest} {
		open := false
		for i, r := range rows {
			switch r.Role {
			case User:
				open = opens(rows[i:])
				if open && b.add(User, r.Content) {
					asked = true
				}
			case Assistant:
				if asked && open && r.Status.isSent() && !r.Refused {
					b.add(Assistant, r.Content)
				}
			}
		}
	}
	if n := len(b.messages); n > 0 && b.messages[n-1].Role == Assistant {
		b.messages = b.messages[:n-1]
	}
	return b.messages
}

// opens reports whether a turn, which the rows begin with, is sent: its question was neither
// cancelled, nor has the model server refused to answer what it says.
func opens(rows []Row) bool {
	if rows[0].Status != Completed {
		return false
	}
	refused := false
	for _, r := range rows[1:] {
		if r.Role == User {
			break
		}
		if r.Role == Assistant && r.IsSent() {
			return true
		}
		refused = refused || r.Role == Assistant && r.Refused
	}
	return !refused
}

// Sent reports whether the text of a stored message with this role and status is sent at
// all, whatever stands beside it.
func Sent(role Role, status Status) bool {
	return status == Completed || role == Assistant && status.isSent()
}

// IsSent reports whether the text of the row is sent, whatever stands beside it.
func (r Row) IsSent() bool {
	return r.Role != "" && Sent(r.Role, r.Status) && !r.Refused && !blank(r.Content)
}

// isSent reports whether the text of a reply with this status is sent.
func (s Status) isSent() bool {
	return s == Completed || s == Stopped || s == Failed || s == Interrupted
}

// builder makes messages whose parts lie in one array: a long line costs two
// allocations. Both arrays have room for all rows. They must not grow, as the messages
// hold slices of parts.
type builder struct {
	messages []Message
	parts    []Part
}

// system appends the system texts among rows.
func (b *builder) system(rows []Row) {
	for _, r := range rows {
		if r.Role == System {
			b.add(System, r.Content)
		}
	}
}

// add appends a text, to the last message if that has the same role, and reports
// whether it was sent.
func (b *builder) add(role Role, text string) bool {
	if blank(text) {
		return false
	}
	b.parts = append(b.parts, Part{Text: text})
	end := len(b.parts)
	if n := len(b.messages); n > 0 && b.messages[n-1].Role == role {
		start := end - 1 - len(b.messages[n-1].Parts)
		b.messages[n-1].Parts = b.parts[start:end:end]
		return true
	}
	b.messages = append(b.messages, Message{Role: role, Parts: b.parts[end-1 : end : end]})
	return true
}

// blank reports whether there is nothing to read in a text.
func blank(text string) bool { return strings.TrimSpace(text) == "" }
