package reply

import (
	"encoding/json"
	"fmt"
)

// Parameters steer one call of a model. A nil field is not sent, so that the
// model server's default holds; a field set to zero is sent as zero.
type Parameters struct {
	Temperature      *float64        `json:"temperature,omitempty"`
	TopP             *float64        `json:"topP,omitempty"`
	MaxTokens        *int            `json:"maxTokens,omitempty"`
	Stop             []string        `json:"stop,omitempty"`
	Seed             *int            `json:"seed,omitempty"`
	PresencePenalty  *float64        `json:"presencePenalty,omitempty"`
	FrequencyPenalty *float64        `json:"frequencyPenalty,omitempty"`
	ResponseFormat   *ResponseFormat `json:"responseFormat,omitempty"`
	// ReasoningEffort and Verbosity are "" when they are not set.
	ReasoningEffort ReasoningEffort `json:"reasoningEffort,omitempty"`
	Verbosity       Verbosity       `json:"verbosity,omitempty"`
}

// ReasoningEffort is how long a model thinks before it answers.
type ReasoningEffort string

// The efforts, from none to much.
const (
	EffortNone    ReasoningEffort = "NONE"
	EffortMinimal ReasoningEffort = "MINIMAL"
	EffortLow     ReasoningEffort = "LOW"
	EffortMedium  ReasoningEffort = "MEDIUM"
	EffortHigh    ReasoningEffort = "HIGH"
)

// ReasoningEfforts lists all efforts.
func ReasoningEfforts() []ReasoningEffort {
	return []ReasoningEffort{EffortNone, EffortMinimal, EffortLow, EffortMedium, EffortHigh}
}

// Verbosity is how long an answer is.
type Verbosity string

// The verbosities, from short to long.
const (
	VerbosityLow    Verbosity = "LOW"
	VerbosityMedium Verbosity = "MEDIUM"
	VerbosityHigh   Verbosity = "HIGH"
)

// Verbosities lists all verbosities.
func Verbosities() []Verbosity { return []Verbosity{VerbosityLow, VerbosityMedium, VerbosityHigh} }

// FormatType is the kind of text a model is asked for.
type FormatType string

// The response formats of OpenAI-compatible servers.
const (
	FormatText       FormatType = "TEXT"
	FormatJSONObject FormatType = "JSON_OBJECT"
	FormatJSONSchema FormatType = "JSON_SCHEMA"
)

// ResponseFormat asks the model for text, any JSON object, or JSON of a schema.
type ResponseFormat struct {
	Type FormatType `json:"type"`
	// Name and Schema are set for FormatJSONSchema only; Schema is JSON text.
	Name   string `json:"name,omitempty"`
	Schema string `json:"schema,omitempty"`
	Strict bool   `json:"strict,omitempty"`
}

// Over returns p with the fields that are set in q taking precedence.
func (p Parameters) Over(q Parameters) Parameters {
	if q.Temperature != nil {
		p.Temperature = q.Temperature
	}
	if q.TopP != nil {
		p.TopP = q.TopP
	}
	if q.MaxTokens != nil {
		p.MaxTokens = q.MaxTokens
	}
	if q.Stop != nil {
		p.Stop = q.Stop
	}
	if q.Seed != nil {
		p.Seed = q.Seed
	}
	if q.PresencePenalty != nil {
		p.PresencePenalty = q.PresencePenalty
	}
	if q.FrequencyPenalty != nil {
		p.FrequencyPenalty = q.FrequencyPenalty
	}
	if q.ResponseFormat != nil {
		p.ResponseFormat = q.ResponseFormat
	}
	if q.ReasoningEffort != "" {
		p.ReasoningEffort = q.ReasoningEffort
	}
	if q.Verbosity != "" {
		p.Verbosity = q.Verbosity
	}
	return p
}

// Encode returns the parameters as text for storage; the zero value is "".
func (p Parameters) Encode() string {
	b, err := json.Marshal(p)
	if err != nil { // NaN and infinities, which Validate in chat refuses.
		panic(fmt.Sprintf("encode parameters: %v", err))
	}
	if string(b) == "{}" {
		return ""
	}
	return string(b)
}

// DecodeParameters reads what Encode wrote.
func DecodeParameters(s string) (Parameters, error) {
	var p Parameters
	if s == "" {
		return p, nil
	}
	if err := json.Unmarshal([]byte(s), &p); err != nil {
		return p, fmt.Errorf("decode parameters: %w", err)
	}
	return p, nil
}
