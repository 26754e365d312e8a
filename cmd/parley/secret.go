package main

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a value that prints as [redacted] with every verb of fmt, in JSON
// and in slog. The zero value is the empty secret.
type Secret struct {
	// A pointer, because fmt cannot call methods on unexported fields of other
	// structs and then prints what it finds: an address.
	value *string
}

func newSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{value: &text}
}

// IsZero reports whether the secret is empty.
func (s Secret) IsZero() bool { return s.value == nil }

// Reveal returns the text itself. It is for the one place that uses it.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// String returns "[redacted]", or "" for the empty secret.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// Format implements fmt.Formatter, so that no verb prints the text.
func (s Secret) Format(f fmt.State, _ rune) {
	// A failing writer is fmt's to report.
	_, _ = f.Write([]byte(s.String()))
}

// MarshalText implements encoding.TextMarshaler, and so JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
