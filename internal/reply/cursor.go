package reply

import (
	"encoding/base64"
	"fmt"

	"parley/internal/pid"
	"parley/internal/refusal"
)

// Cursor is a viewer's position in a reply: how much it holds of one attempt.
type Cursor struct {
	MessageID pid.ID
	Attempt   int
	Text      int // bytes of the text
	Reasoning int // bytes of the reasoning
}

// ErrBadCursor is returned for a cursor that this reply never gave out.
var ErrBadCursor error = refusal.BadInput("after", "is not a cursor of this message")

const cursorFormat = "r1 %s %d %d %d"

// String returns the cursor in its opaque form for clients.
func (c Cursor) String() string {
	return base64.RawURLEncoding.EncodeToString(
		fmt.Appendf(nil, cursorFormat, c.MessageID, c.Attempt, c.Text, c.Reasoning))
}

// ParseCursor reads what String wrote, or returns ErrBadCursor.
func ParseCursor(s string) (Cursor, error) {
	if len(s) > 200 {
		return Cursor{}, ErrBadCursor
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return Cursor{}, ErrBadCursor
	}
	var c Cursor
	var id string
	if _, err := fmt.Sscanf(string(b), cursorFormat, &id, &c.Attempt, &c.Text, &c.Reasoning); err != nil {
		return Cursor{}, ErrBadCursor
	}
	c.MessageID = pid.ID(id)
	if !c.MessageID.Is(pid.Message) || c.Attempt < 0 || c.Text < 0 || c.Reasoning < 0 || c.String() != s {
		return Cursor{}, ErrBadCursor
	}
	return c, nil
}
