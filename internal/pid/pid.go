// Package pid makes and parses Parley's public ids: a three-letter prefix that
// names the entity, an underscore, and a version 7 UUID in 26 lower-case
// characters. Ids sort by the time they were made, byte for byte, in every
// database and collation we use.
//
// Its one invariant: an ID returned by Parse has a known prefix and holds only
// characters that are safe in a URL, a file name and a bus subject.
package pid

import (
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ID is the id of one entity. The zero value is not an id.
type ID string

// Kind is the prefix of an id and says what the id names.
type Kind string

// The kinds of ids Parley makes.
const (
	User         Kind = "usr"
	AuthSession  Kind = "aus"
	Conversation Kind = "cnv"
	Message      Kind = "msg"
	Send         Kind = "snd"
	Replica      Kind = "rep"
	UsageDay     Kind = "uda"
	Summary      Kind = "sum"
)

// ErrMalformed is returned by Parse for text that is not an id.
var ErrMalformed = errors.New("malformed id")

// alphabet keeps the order of the bits: '0' < … < '9' < 'a' < … < 'z'. It leaves
// out i, l, o and u, which people misread.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const encodedLen = 26

// New returns a fresh id of the given kind. It is safe for concurrent use. It
// panics when the system has no randomness left, as nothing may go on then.
func New(kind Kind) ID {
	u := uuid.Must(uuid.NewV7())
	out := make([]byte, 0, len(kind)+1+encodedLen)
	out = append(out, kind...)
	out = append(out, '_')
	return ID(appendBase32(out, u))
}

// First returns what sorts before all ids of a kind that are made at a time or later, and
// behind those made before. It is no id itself.
func First(kind Kind, at time.Time) ID {
	var u uuid.UUID
	ms := uint64(max(at.UnixMilli(), 0))
	for i := range 6 {
		u[i] = byte(ms >> (40 - 8*i))
	}
	return ID(appendBase32([]byte(string(kind)+"_"), u))
}

// Parse checks that s is an id of a known kind and returns it.
// It returns ErrMalformed otherwise.
func Parse(s string) (ID, error) {
	kind, rest, ok := strings.Cut(s, "_")
	if !ok || !known(Kind(kind)) || len(rest) != encodedLen {
		return "", ErrMalformed
	}
	// 26 characters hold 130 bits; the first may only use its low three.
	if rest[0] > '7' {
		return "", ErrMalformed
	}
	for i := range len(rest) {
		if strings.IndexByte(alphabet, rest[i]) < 0 {
			return "", ErrMalformed
		}
	}
	return ID(s), nil
}

// Kind returns the prefix of the id, or "" when it has none.
func (id ID) Kind() Kind {
	kind, _, ok := strings.Cut(string(id), "_")
	if !ok {
		return ""
	}
	return Kind(kind)
}

// Is reports whether the id is well formed and of the given kind.
func (id ID) Is(kind Kind) bool {
	if id.Kind() != kind {
		return false
	}
	_, err := Parse(string(id))
	return err == nil
}

func known(kind Kind) bool {
	switch kind {
	case User, AuthSession, Conversation, Message, Send, Replica, UsageDay, Summary:
		return true
	}
	return false
}

// appendBase32 appends the 128 bits of u, most significant first, as 26
// characters of five bits; the first character holds the top three.
func appendBase32(out []byte, u uuid.UUID) []byte {
	bits, n := uint32(0), 2 // Two leading zero bits make 130.
	for _, b := range u {
		bits = bits<<8 | uint32(b)
		n += 8
		for n >= 5 {
			n -= 5
			out = append(out, alphabet[bits>>n&31])
		}
	}
	return out
}
