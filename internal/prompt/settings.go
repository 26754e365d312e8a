package prompt

import (
	"encoding/json"
	"fmt"
)

// Policy is how it is chosen what of a conversation is sent, as its row spells it.
type Policy string

// The policies.
const (
	// Full sends everything.
	Full Policy = "FULL"
	// Truncate sends the newest turns that fit.
	Truncate Policy = "TRUNCATE"
	// LastN sends so many of the newest turns, as far as they fit.
	LastN Policy = "LAST_N"
	// Summarize sends a summary of what does not fit, and the newest turns.
	Summarize Policy = "SUMMARIZE"
)

// Policies lists all policies.
func Policies() []Policy { return []Policy{Full, Truncate, LastN, Summarize} }

// Settings are what somebody has said about the context of a conversation. The zero value
// says nothing.
type Settings struct {
	Policy Policy `json:"policy,omitempty"`
	// Turns is how many turns LastN sends; 0 with other policies.
	Turns int `json:"turns,omitempty"`
	// LimitTokens is a limit to keep to; 0: that of the model.
	LimitTokens int `json:"limitTokens,omitempty"`
}

// Encode returns the settings as text for storage; the zero value is "".
func (s Settings) Encode() string {
	if s == (Settings{}) {
		return ""
	}
	b, err := json.Marshal(s)
	if err != nil { // Nothing in it can fail.
		panic(fmt.Sprintf("encode context settings: %v", err))
	}
	return string(b)
}

// DecodeSettings reads what Encode wrote.
func DecodeSettings(text string) (Settings, error) {
	if text == "" { // As nearly always, and then nothing is allocated.
		return Settings{}, nil
	}
	var s Settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return s, fmt.Errorf("decode context settings: %w", err)
	}
	return s, nil
}
