package reply

import (
	"encoding/json"
	"fmt"
)

// Citation is a source that a model names.
type Citation struct {
	URL   string `json:"url"`
	Title string `json:"title,omitempty"`
	// Start and End are the place in the content that it is for, in UTF-16 units. Both are nil
	// when the model server does not say.
	Start *int `json:"start,omitempty"`
	End   *int `json:"end,omitempty"`
}

// EncodeCitations returns citations as text for storage; "" for none.
func EncodeCitations(list []Citation) string {
	if len(list) == 0 {
		return ""
	}
	b, err := json.Marshal(list)
	if err != nil { // Nothing in it can fail.
		panic(fmt.Sprintf("encode citations: %v", err))
	}
	return string(b)
}

// DecodeCitations reads what EncodeCitations wrote.
func DecodeCitations(s string) ([]Citation, error) {
	var list []Citation
	if s == "" {
		return list, nil
	}
	if err := json.Unmarshal([]byte(s), &list); err != nil {
		return nil, fmt.Errorf("decode citations: %w", err)
	}
	return list, nil
}
