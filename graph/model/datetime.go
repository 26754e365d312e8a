package model

import (
	"io"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"parley/internal/refusal"
)

// MarshalDateTime writes an instant as the scalar DateTime says. The zero time is null, of
// which a field that is never null makes an error.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	if t.IsZero() {
		return graphql.Null
	}
	return graphql.WriterFunc(func(w io.Writer) { _, _ = io.WriteString(w, `"`+refusal.Instant(t)+`"`) })
}

// UnmarshalDateTime reads an instant with any number of digits.
func UnmarshalDateTime(v any) (time.Time, error) { return graphql.UnmarshalTime(v) }
