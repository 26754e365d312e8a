// Package secret holds texts that must not be seen: keys, and addresses with passwords
// in them. It owns how they print; who may know them is decided by whoever holds one.
//
// Its one invariant: only Reveal gives the text away. Whatever prints, encodes or logs a
// Text, or a struct that holds one, writes [redacted].
package secret

import (
	"fmt"
	"log/slog"
	"strings"
)

// Redacted is what stands where a secret would.
const Redacted = "[redacted]"

// Text is a text that prints as Redacted with every verb of fmt, in JSON and in slog. The
// zero value is the empty text, which prints as nothing. It is not to be compared with ==.
type Text struct {
	// A pointer, because fmt cannot call methods on unexported fields of other
	// structs and then prints what it finds: an address.
	value *string
}

// New hides a text.
func New(text string) Text {
	if text == "" {
		return Text{}
	}
	return Text{value: &text}
}

// IsZero reports whether the text is empty.
func (t Text) IsZero() bool { return t.value == nil }

// Reveal returns the text itself. It is for the one place that uses it.
func (t Text) Reveal() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// shownPiece is the longest piece of a secret that may stand in a text of others: shorter
// ones are words of it by chance.
const shownPiece = 3

// Blot returns what others have said, such as a server that repeats a key, without all
// pieces of the secret that are longer than three bytes.
func (t Text) Blot(said string) string {
	hidden := t.Reveal()
	var out strings.Builder
	for i := 0; i < len(said); {
		n := 0
		for i+n < len(said) && n < len(hidden) && strings.Contains(hidden, said[i:i+n+1]) {
			n++
		}
		if n > shownPiece {
			out.WriteString(Redacted)
			i += n
			continue
		}
		out.WriteByte(said[i])
		i++
	}
	return out.String()
}

// String returns Redacted, or "" for the empty text.
func (t Text) String() string {
	if t.IsZero() {
		return ""
	}
	return Redacted
}

// Format implements fmt.Formatter, so that no verb prints the text.
func (t Text) Format(f fmt.State, _ rune) {
	_, _ = f.Write([]byte(t.String())) // A writer that fails is for fmt to report.
}

// MarshalText implements encoding.TextMarshaler, and so JSON.
func (t Text) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// LogValue implements slog.LogValuer.
func (t Text) LogValue() slog.Value { return slog.StringValue(t.String()) }
