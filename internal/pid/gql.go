package pid

import (
	"database/sql/driver"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Value implements driver.Valuer.
func (id ID) Value() (driver.Value, error) { return string(id), nil }

// Scan implements sql.Scanner. NULL reads as the zero ID.
func (id *ID) Scan(src any) error {
	switch v := src.(type) {
	case string:
		*id = ID(v)
	case []byte:
		*id = ID(v)
	case nil:
		*id = ""
	default:
		return fmt.Errorf("scan id: unexpected type %T", src)
	}
	return nil
}

// MarshalGQL writes the id as a GraphQL ID.
func (id ID) MarshalGQL(w io.Writer) {
	// A failed write shows in the response writer; there is nothing to do here.
	_, _ = io.WriteString(w, strconv.Quote(string(id)))
}

// UnmarshalGQL reads a GraphQL ID. Any text is taken: whether it names something
// is decided where it is looked up, so that a malformed id, a random one and
// another user's give the same answer. A NUL, which Postgres refuses in any text,
// makes the zero ID, which names nothing either.
func (id *ID) UnmarshalGQL(v any) error {
	defer func() {
		if strings.ContainsRune(string(*id), 0) {
			*id = ""
		}
	}()
	switch v := v.(type) {
	case string:
		*id = ID(v)
	case fmt.Stringer: // json.Number: GraphQL allows an integer where an ID is wanted.
		*id = ID(v.String())
	case int:
		*id = ID(strconv.Itoa(v))
	case int64:
		*id = ID(strconv.FormatInt(v, 10))
	default:
		return fmt.Errorf("an ID must be a string, not %T", v)
	}
	return nil
}
