package reply

import (
	"encoding/base64"
	"strconv"
	"strings"

	"parley/internal/pid"
	"parley/internal/refusal"
)

// Cursor is a watcher's position in a reply: how much it holds of one attempt.
type Cursor struct {
	MessageID pid.ID
	Attempt   int
	At        Position
}

// ErrBadCursor is returned for a cursor that this reply never gave out.
var ErrBadCursor error = refusal.BadInput("after", "is not a cursor of this message")

// cursorVersion is how cursors are written. Clients keep them over an upgrade: what another
// version has written still says which message it belongs to, but not where in it.
const cursorVersion = 2

// noAttempt lies before all attempts: whoever comes with a cursor of it gets a snapshot.
const noAttempt = -1

// maxCursorBytes is longer than a cursor of any version.
const maxCursorBytes = 200

// String returns the cursor in its opaque form for clients.
func (c Cursor) String() string {
	b := append(make([]byte, 0, maxCursorBytes), 'r')
	b = strconv.AppendInt(b, cursorVersion, 10)
	b = append(append(b, ' '), c.MessageID...)
	b = strconv.AppendInt(append(b, ' '), int64(c.Attempt), 10)
	for _, at := range c.At {
		b = strconv.AppendInt(append(b, ' '), int64(at), 10)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseCursor reads what String wrote, or returns ErrBadCursor. A cursor that another
// version of this server wrote is read as one that any attempt is later than.
func ParseCursor(s string) (Cursor, error) {
	if len(s) > maxCursorBytes {
		return Cursor{}, ErrBadCursor
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return Cursor{}, ErrBadCursor
	}
	// All versions begin with the version and the message, and go on with numbers.
	fields := strings.Split(string(b), " ")
	if len(fields) < 3 || !strings.HasPrefix(fields[0], "r") || !pid.ID(fields[1]).Is(pid.Message) {
		return Cursor{}, ErrBadCursor
	}
	version, ok := parseNumber(fields[0][1:])
	numbers := make([]int, len(fields)-2)
	for i, field := range fields[2:] {
		var isNumber bool
		numbers[i], isNumber = parseNumber(field)
		ok = ok && isNumber
	}
	c := Cursor{MessageID: pid.ID(fields[1]), Attempt: numbers[0]}
	switch {
	case !ok || version == 0:
		return Cursor{}, ErrBadCursor
	case version != cursorVersion:
		c.Attempt = noAttempt
	case copy(c.At[:], numbers[1:]) != len(c.At), c.String() != s:
		return Cursor{}, ErrBadCursor
	}
	return c, nil
}

// parseNumber reads a number that is not negative, in the one way in which it is written.
func parseNumber(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && strconv.Itoa(n) == s
}
