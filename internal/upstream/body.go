package upstream

import (
	"bytes"
	"encoding/json"
	"fmt"

	"parley/internal/prompt"
	"parley/internal/reply"
)

// dialect is what a model server was found to understand of the protocol.
type dialect struct {
	// noStreamOptions: the server refuses stream_options; it then counts no usage.
	noStreamOptions bool
	// completionTokens: the model wants max_completion_tokens in place of max_tokens,
	// as OpenAI's reasoning models do.
	completionTokens bool
}

// request is the body of a call. It is ours, not go-openai's: that one cannot send
// a temperature of zero, and its messages take more than three times as long to encode (see
// BenchmarkBody). Pointers let a zero be sent as zero.
type request struct {
	Model         string         `json:"model"`
	Messages      []message      `json:"messages"`
	Stream        bool           `json:"stream"`
	StreamOptions *streamOptions `json:"stream_options,omitempty"`
	// No limit is sent unless one was asked for: servers count reasoning against
	// it in different ways, and a limit above the model's own is refused. What
	// bounds a reply is its bytes and its time.
	MaxTokens           *int            `json:"max_tokens,omitempty"`
	MaxCompletionTokens *int            `json:"max_completion_tokens,omitempty"`
	Temperature         *float64        `json:"temperature,omitempty"`
	TopP                *float64        `json:"top_p,omitempty"`
	Stop                []string        `json:"stop,omitempty"`
	Seed                *int            `json:"seed,omitempty"`
	PresencePenalty     *float64        `json:"presence_penalty,omitempty"`
	FrequencyPenalty    *float64        `json:"frequency_penalty,omitempty"`
	ResponseFormat      *responseFormat `json:"response_format,omitempty"`
}

type message struct {
	Role    prompt.Role `json:"role"`
	Content string      `json:"content"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type responseFormat struct {
	Type       string      `json:"type"`
	JSONSchema *jsonSchema `json:"json_schema,omitempty"`
}

type jsonSchema struct {
	Name   string          `json:"name"`
	Schema json.RawMessage `json:"schema,omitempty"`
	Strict bool            `json:"strict"`
}

// requestBody encodes the body of a call. Text that is not UTF-8 is repaired. It
// fails for numbers that JSON cannot hold and for a schema that is not JSON.
func requestBody(req reply.Request, d dialect) ([]byte, error) {
	r := request{
		Model:            req.Model,
		Messages:         make([]message, len(req.Messages)),
		Stream:           true,
		Temperature:      req.Parameters.Temperature,
		TopP:             req.Parameters.TopP,
		Stop:             req.Parameters.Stop,
		Seed:             req.Parameters.Seed,
		PresencePenalty:  req.Parameters.PresencePenalty,
		FrequencyPenalty: req.Parameters.FrequencyPenalty,
	}
	for i, m := range req.Messages {
		r.Messages[i] = message{Role: m.Role, Content: m.Text()}
	}
	if !d.noStreamOptions {
		r.StreamOptions = &streamOptions{IncludeUsage: true}
	}
	if d.completionTokens {
		r.MaxCompletionTokens = req.Parameters.MaxTokens
	} else {
		r.MaxTokens = req.Parameters.MaxTokens
	}
	var err error
	if r.ResponseFormat, err = encodeFormat(req.Parameters.ResponseFormat); err != nil {
		return nil, err
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // Six bytes for each < would make code much longer.
	if err := encoder.Encode(r); err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return body.Bytes(), nil
}

func encodeFormat(f *reply.ResponseFormat) (*responseFormat, error) {
	if f == nil {
		return nil, nil // No format was asked for, and none is sent.
	}
	switch f.Type {
	case reply.FormatText:
		return &responseFormat{Type: "text"}, nil
	case reply.FormatJSONObject:
		return &responseFormat{Type: "json_object"}, nil
	case reply.FormatJSONSchema:
		s := &jsonSchema{Name: f.Name, Strict: f.Strict}
		if f.Schema != "" {
			s.Schema = json.RawMessage(f.Schema)
		}
		return &responseFormat{Type: "json_schema", JSONSchema: s}, nil
	default:
		return nil, fmt.Errorf("unknown response format %q", f.Type)
	}
}
