package chat

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"parley/internal/pid"
	"parley/internal/refusal"
)

// The sizes of a page.
const (
	DefaultPage = 20
	MaxPage     = 100
)

// PageArgs are the arguments of a Relay connection. Both of First and Last nil
// means the first DefaultPage entries.
type PageArgs struct {
	First, Last   *int
	After, Before *string
	// WithoutTexts leaves the texts out of messages.
	WithoutTexts bool
}

// Page is a part of a list, in the list's order.
type Page[T any] struct {
	Items       []T
	HasNext     bool
	HasPrevious bool
}

// window is a checked PageArgs: n entries from one end between two exclusive
// bounds.
type window struct {
	n             int
	backward      bool
	after, before *string
}

// check returns BAD_USER_INPUT for sizes outside 0 to MaxPage and for both ends at
// once.
func (a PageArgs) check() (window, error) {
	w := window{n: DefaultPage, after: a.After, before: a.Before}
	p := refusal.Problems{}
	size := func(field string, n *int) {
		if n == nil {
			return
		}
		if *n < 0 || *n > MaxPage {
			p.Add(field, fmt.Sprintf("must be between 0 and %d", MaxPage))
		}
		w.n = *n
	}
	size("first", a.First)
	size("last", a.Last)
	if a.First != nil && a.Last != nil {
		p.Add("last", "may not be given together with first")
	}
	w.backward = a.Last != nil
	return w, p.Err()
}

// page cuts the one entry too many that was read, and puts the entries read from
// the end into the list's order.
func page[T any](w window, items []T) Page[T] {
	more := len(items) > w.n
	if more {
		items = items[:w.n]
	}
	if w.backward {
		for i, j := 0, len(items)-1; i < j; i, j = i+1, j-1 {
			items[i], items[j] = items[j], items[i]
		}
		return Page[T]{Items: items, HasPrevious: more, HasNext: w.before != nil}
	}
	return Page[T]{Items: items, HasNext: more, HasPrevious: w.after != nil}
}

// MessageCursor is the cursor of a message in its conversation's visible line.
func MessageCursor(index int) string {
	return encodeCursor("m1 " + strconv.Itoa(index))
}

func parseMessageCursor(field, s string) (int, error) {
	rest, ok := strings.CutPrefix(decodeCursor(s), "m1 ")
	if n, err := strconv.Atoi(rest); ok && err == nil && n >= 0 {
		return n, nil
	}
	return 0, refusal.BadInput(field, "is not a cursor of this list")
}

// ConversationCursor is the cursor of a conversation in its owner's list.
func ConversationCursor(lastMessageAt time.Time, id pid.ID) string {
	return encodeCursor(fmt.Sprintf("c1 %d %s", lastMessageAt.UnixMicro(), id))
}

// maxCursorMicros is the end of the year 9999.
const maxCursorMicros = 253_402_300_799_999_999

func parseConversationCursor(field, s string) (time.Time, pid.ID, error) {
	if rest, ok := strings.CutPrefix(decodeCursor(s), "c1 "); ok {
		micros, id, _ := strings.Cut(rest, " ")
		// Outside these bounds lie times that no database holds.
		if n, err := strconv.ParseInt(micros, 10, 64); err == nil && n >= 0 && n <= maxCursorMicros &&
			pid.ID(id).Is(pid.Conversation) {
			return time.UnixMicro(n).UTC(), pid.ID(id), nil
		}
	}
	return time.Time{}, "", refusal.BadInput(field, "is not a cursor of this list")
}

func encodeCursor(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func decodeCursor(s string) string {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return "" // No cursor of ours; the caller says so.
	}
	return string(b)
}
