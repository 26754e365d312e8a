package graph

import (
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"parley/internal/reply"
)

// A delta is made for each token and each watcher, so the usual selections of one are not
// resolved field by field. What a client selects of it is the same each time: it is looked
// at once, and each delta is written into the places of its values. What the executor would
// have answered is answered byte for byte. Everything else it does itself.

// deltas writes the deltas of one subscription. One goroutine at a time uses it.
type deltas struct {
	op *graphql.OperationContext
	// forms are made with the first delta of each type.
	forms map[string]form
	out   []byte
	next  graphql.Response
}

// form is how the deltas of one type are written: texts, and the value behind each. An empty
// one says that the executor has to do it.
type form []piece

type piece struct {
	before string
	value  func(out []byte, u *reply.Update) []byte // Nil: nothing.
}

const (
	// maxDelta bounds the text of a delta that is written here. A longer one may need room,
	// for which the executor asks.
	maxDelta = 4 << 10
	// maxWritten bounds what is made of it, and what is kept between two.
	maxWritten = 64 << 10
)

// write returns the response to a delta, or nil when the executor has to make it. It is good
// until the next call.
func (d *deltas) write(u *reply.Update) *graphql.Response {
	if u.Kind != reply.Delta || len(u.Text) > maxDelta {
		return nil
	}
	name := "MessageDelta"
	if u.Channel == reply.Reasoning {
		name = "MessageReasoningDelta"
	}
	f, known := d.forms[name]
	if !known {
		f = newForm(d.op, name)
		if d.forms == nil {
			d.forms = make(map[string]form, 1)
		}
		d.forms[name] = f
	}
	if len(f) == 0 {
		return nil
	}
	out := d.out[:0]
	for _, p := range f {
		out = append(out, p.before...)
		if p.value != nil {
			out = p.value(out, u)
		}
	}
	if len(out) > maxWritten {
		return nil
	}
	d.out = out
	d.next = graphql.Response{Data: out}
	return &d.next
}

// ofDelta and ofRow are the fields of a delta, and those of its message that stay as they are
// while the reply is written.
var (
	ofDelta = map[string]func(out []byte, u *reply.Update) []byte{
		"offset": func(out []byte, u *reply.Update) []byte { return strconv.AppendInt(out, int64(u.Units), 10) },
		"text":   func(out []byte, u *reply.Update) []byte { return appendString(out, u.Text) },
		"cursor": func(out []byte, u *reply.Update) []byte { return appendString(out, u.Cursor.String()) },
	}
	ofRow = map[string]func(out []byte, u *reply.Update) []byte{
		"id":      func(out []byte, u *reply.Update) []byte { return appendString(out, string(u.Row.ID)) },
		"attempt": func(out []byte, u *reply.Update) []byte { return strconv.AppendInt(out, int64(u.Row.Attempt), 10) },
		"index":   func(out []byte, u *reply.Update) []byte { return strconv.AppendInt(out, int64(u.Row.Index), 10) },
		"role":    func(out []byte, u *reply.Update) []byte { return appendString(out, string(u.Row.Role)) },
		"status":  func(out []byte, u *reply.Update) []byte { return appendString(out, string(u.Row.Status)) },
	}
)

// newForm looks at what an operation selects of the deltas of a type.
func newForm(op *graphql.OperationContext, name string) form {
	root := graphql.CollectFields(op, op.Operation.SelectionSet, []string{"Subscription"})
	if len(root) != 1 {
		return nil
	}
	w := &formWriter{op: op}
	w.text = append(w.text, '{')
	w.key(root[0].Alias)
	if !w.object(root[0].Selections, name, ofDelta) {
		return nil
	}
	w.text = append(w.text, '}')
	return append(w.done, piece{before: string(w.text)})
}

// formWriter makes a form.
type formWriter struct {
	op   *graphql.OperationContext
	done form
	text []byte // What comes before the next value.
}

func (w *formWriter) key(alias string) {
	w.text = append(appendString(w.text, alias), ':')
}

// object reports whether it knows all that is selected.
func (w *formWriter) object(
	selected ast.SelectionSet, name string, values map[string]func([]byte, *reply.Update) []byte,
) bool {
	w.text = append(w.text, '{')
	for i, f := range graphql.CollectFields(w.op, selected, typesOf[name]) {
		if i > 0 {
			w.text = append(w.text, ',')
		}
		w.key(f.Alias)
		value := values[f.Name]
		switch {
		case f.IsDeferred():
			return false
		case f.Name == "__typename":
			w.text = appendString(w.text, name)
		case f.Name == "message" && name != "Message":
			if !w.object(f.Selections, "Message", ofRow) {
				return false
			}
		case value == nil:
			return false
		default:
			w.done = append(w.done, piece{string(w.text), value})
			w.text = w.text[:0]
		}
	}
	w.text = append(w.text, '}')
	return true
}

// appendString appends a string of JSON as the executor would write it.
func appendString(out []byte, s string) []byte {
	out = append(out, '"')
	start := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		out = append(out, s[start:i]...)
		start = i + 1
		switch c {
		case '\t':
			out = append(out, '\\', 't')
		case '\r':
			out = append(out, '\\', 'r')
		case '\n':
			out = append(out, '\\', 'n')
		case '"', '\\':
			out = append(out, '\\', c)
		default:
			const hex = "0123456789ABCDEF"
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
	}
	return append(append(out, s[start:]...), '"')
}
