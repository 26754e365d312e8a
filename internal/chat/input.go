package chat

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/text"
)

// The limits of inputs, in bytes of UTF-8 unless they say otherwise.
const (
	MaxNameRunes     = 200
	MaxModelBytes    = 200
	MaxSchemaBytes   = 16 << 10
	MaxStopSequences = 4
	MaxStopBytes     = 256
	// placeholderRunes is how much of the first message becomes a name.
	placeholderRunes = 60
)

var (
	clientKeyForm  = regexp.MustCompile(`^[A-Za-z0-9_-]{8,128}$`)
	schemaNameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

// checkText refuses text that a database or a client could not take.
func checkText(p refusal.Problems, field, value string, maxBytes int) {
	switch {
	case len(value) > maxBytes:
		p.Add(field, fmt.Sprintf("may have at most %d bytes of UTF-8, not %d", maxBytes, len(value)))
	case !utf8.ValidString(value):
		p.Add(field, "must be valid Unicode")
	case strings.ContainsRune(value, 0):
		p.Add(field, "may not contain the character NUL")
	}
}

func checkKey(p refusal.Problems, key *string) {
	if key != nil && !clientKeyForm.MatchString(*key) {
		p.Add("clientKey", "must have 8 to 128 letters, digits, _ or -")
	}
}

func checkContent(p refusal.Problems, field, content string, maxBytes int) {
	checkText(p, field, content, maxBytes)
	if text.Blank(content) {
		p.Add(field, "must not be empty")
	}
}

// cleanName returns the name as it is stored: one line that does not disturb what stands
// around it. One of which nothing would be left is refused, since the empty name says
// something else: that the first message gives it.
func cleanName(p refusal.Problems, field string, name *string) *string {
	if name == nil || *name == "" {
		return name
	}
	checkText(p, field, *name, 4*MaxNameRunes)
	clean := text.Line(*name)
	if clean == "" {
		p.Add(field, "must have a character that can be seen")
	}
	if n := utf8.RuneCountInString(clean); n > MaxNameRunes {
		p.Add(field, fmt.Sprintf("may have at most %d characters, not %d", MaxNameRunes, n))
	}
	return &clean
}

func checkModel(p refusal.Problems, field string, model *string) {
	if model != nil {
		checkText(p, field, *model, MaxModelBytes)
	}
}

func checkParameters(p refusal.Problems, field string, q *reply.Parameters) {
	if q == nil {
		return
	}
	between := func(name string, v *float64, lo, hi float64) {
		if v != nil && !(*v >= lo && *v <= hi) || v != nil && math.IsNaN(*v) {
			p.Add(field+"."+name, fmt.Sprintf("must be between %g and %g", lo, hi))
		}
	}
	between("temperature", q.Temperature, 0, 2)
	between("topP", q.TopP, 0, 1)
	between("presencePenalty", q.PresencePenalty, -2, 2)
	between("frequencyPenalty", q.FrequencyPenalty, -2, 2)
	if q.MaxTokens != nil && (*q.MaxTokens < 1 || *q.MaxTokens > 1<<20) {
		p.Add(field+".maxTokens", fmt.Sprintf("must be between 1 and %d", 1<<20))
	}
	if len(q.Stop) > MaxStopSequences {
		p.Add(field+".stop", fmt.Sprintf("may have at most %d entries", MaxStopSequences))
	}
	for _, s := range q.Stop {
		checkText(p, field+".stop", s, MaxStopBytes)
		if s == "" {
			p.Add(field+".stop", "may not contain an empty text")
		}
	}
	if f := q.ResponseFormat; f != nil {
		checkFormat(p, field+".responseFormat", f)
	}
	if q.ReasoningEffort != "" && !slices.Contains(reply.ReasoningEfforts(), q.ReasoningEffort) {
		p.Add(field+".reasoningEffort", "is not known")
	}
	if q.Verbosity != "" && !slices.Contains(reply.Verbosities(), q.Verbosity) {
		p.Add(field+".verbosity", "is not known")
	}
}

func checkFormat(p refusal.Problems, field string, f *reply.ResponseFormat) {
	switch f.Type {
	case reply.FormatJSONSchema:
	case reply.FormatText, reply.FormatJSONObject:
		if f.Schema != "" || f.Name != "" {
			p.Add(field, "takes name and schema only with the type JSON_SCHEMA")
		}
		return
	default:
		p.Add(field, "has an unknown type")
		return
	}
	if !schemaNameForm.MatchString(f.Name) {
		p.Add(field+".name", "must have 1 to 64 letters, digits, _ or -")
	}
	checkText(p, field+".schema", f.Schema, MaxSchemaBytes)
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(f.Schema), &object); err != nil || object == nil {
		p.Add(field+".schema", "must be a JSON object as text")
	}
}

// placeholderName makes a conversation's first name from its first message.
func placeholderName(content string) string { return text.Shorten(content, placeholderRunes) }
