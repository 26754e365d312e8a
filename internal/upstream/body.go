package upstream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

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

// request is the body of a call but for its messages. It is ours, not go-openai's: that
// one cannot send a temperature of zero. Pointers let a zero be sent as zero.
type request struct {
	Model         string         `json:"model"`
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
		Stream:           true,
		Temperature:      req.Parameters.Temperature,
		TopP:             req.Parameters.TopP,
		Stop:             req.Parameters.Stop,
		Seed:             req.Parameters.Seed,
		PresencePenalty:  req.Parameters.PresencePenalty,
		FrequencyPenalty: req.Parameters.FrequencyPenalty,
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
	body := bytes.NewBuffer(make([]byte, 0, roomFor(req.Messages)))
	encoder := json.NewEncoder(body)
	encoder.SetEscapeHTML(false) // Six bytes for each < would make code much longer.
	if err := encoder.Encode(r); err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return appendMessages(body.Bytes(), req.Messages), nil
}

// roomFor is about how long the body of a call becomes. A text that is mostly quotes needs
// more, which costs one more array.
func roomFor(messages []prompt.Message) int {
	const parameters, message, escaped = 1024, 64, 8 // One byte in eight, as in code.
	n := parameters
	for _, m := range messages {
		n += message
		for _, p := range m.Parts {
			n += len(p.Text) + len(p.Text)/escaped
		}
	}
	return n
}

// appendMessages adds the messages to an encoded request and its line end, by hand: a long history is
// copied once, into the body, and costs nothing else (see BenchmarkBody).
func appendMessages(body []byte, messages []prompt.Message) []byte {
	body = body[:len(body)-len("}\n")]
	body = append(body, `,"messages":[`...)
	for i, m := range messages {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"role":"`...)
		body = appendText(body, string(m.Role))
		body = append(body, `","content":"`...)
		for j, p := range m.Parts {
			if j > 0 {
				body = appendText(body, prompt.Joint)
			}
			body = appendText(body, p.Text)
		}
		body = append(body, `"}`...)
	}
	return append(body, "]}"...)
}

// appendText adds a text as it stands between the quotes of JSON, with U+FFFD for what is
// not UTF-8.
func appendText(body []byte, s string) []byte {
	const hex = "0123456789abcdef"
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				body = append(append(body, s[start:i]...), `\ufffd`...)
				start = i + 1
			}
			i += size
			continue
		}
		i++
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		body = append(body, s[start:i-1]...)
		start = i
		switch c {
		case '"', '\\':
			body = append(body, '\\', c)
		case '\n':
			body = append(body, `\n`...)
		case '\t':
			body = append(body, `\t`...)
		case '\r':
			body = append(body, `\r`...)
		default:
			body = append(body, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(body, s[start:]...)
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
