package upstream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"parley/internal/prompt"
	"parley/internal/reply"
)

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
	ReasoningEffort     string          `json:"reasoning_effort,omitempty"`
	Verbosity           string          `json:"verbosity,omitempty"`
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

// newRequest returns the request in a dialect, without format and messages.
func newRequest(req *reply.Request, d dialect) request {
	r := request{
		Model:            req.Model,
		Stream:           true,
		StreamOptions:    &streamOptions{IncludeUsage: true},
		Temperature:      req.Parameters.Temperature,
		TopP:             req.Parameters.TopP,
		MaxTokens:        req.Parameters.MaxTokens,
		Stop:             req.Parameters.Stop,
		Seed:             req.Parameters.Seed,
		PresencePenalty:  req.Parameters.PresencePenalty,
		FrequencyPenalty: req.Parameters.FrequencyPenalty,
		ReasoningEffort:  strings.ToLower(string(req.Parameters.ReasoningEffort)),
		Verbosity:        strings.ToLower(string(req.Parameters.Verbosity)),
	}
	if d == 0 { // Nearly always.
		return r
	}
	for i := range members {
		if d.has(members[i].fact) {
			members[i].drop(&r)
		}
	}
	if d.has(completionTokens) {
		r.MaxTokens, r.MaxCompletionTokens = nil, r.MaxTokens
	}
	if d.has(oneOfSampling) && r.Temperature != nil {
		r.TopP = nil
	}
	return r
}

// requestBody encodes the body of a call, without what the server refuses to know. Text that
// is not UTF-8 is repaired. It fails for numbers that JSON cannot hold and for a schema that
// is not JSON.
func requestBody(req *reply.Request, d dialect) (*body, error) {
	r := newRequest(req, d)
	var err error
	if r.ResponseFormat, err = encodeFormat(req.Parameters.ResponseFormat); err != nil {
		return nil, err
	}
	var parameters bytes.Buffer
	encoder := json.NewEncoder(&parameters)
	encoder.SetEscapeHTML(false) // Six bytes for each < would make code much longer.
	if err := encoder.Encode(r); err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return newBody(parameters.Bytes(), d.roles(req.Messages)), nil
}

// body is the body of a call. A long history is not copied: it is encoded while it is sent,
// as often as it is sent.
type body struct {
	head     []byte // the parameters, up to the messages
	messages []prompt.Message
	length   int64
}

const (
	messagesBegin = `,"messages":[`
	messageBegin  = `{"role":"`
	messageText   = `","content":"`
	messageEnd    = `"}`
	messagesEnd   = "]}"
	// pieceBytes is how much of a text is encoded at once.
	pieceBytes = 32 << 10
)

// newBody takes the encoded parameters, with the end of their line.
func newBody(parameters []byte, messages []prompt.Message) *body {
	b := &body{head: append(parameters[:len(parameters)-len("}\n")], messagesBegin...), messages: messages}
	n := len(b.head) + len(messagesEnd) + max(len(messages)-1, 0)
	for _, m := range messages {
		n += len(messageBegin) + encodedLen(string(m.Role)) + len(messageText) + len(messageEnd)
		n += max(len(m.Parts)-1, 0) * encodedLen(prompt.Joint)
		for _, p := range m.Parts {
			n += encodedLen(p.Text)
		}
	}
	b.length = int64(n)
	return b
}

// shortBody is up to how long a body is encoded at once. net/http then knows that it is there,
// and writes it together with the headers; before any other one it flushes them. The request
// holds it for as long as the answer is read.
const shortBody = 1536

// open returns the body from its beginning.
func (b *body) open() io.ReadCloser {
	r := &bodyReader{body: b}
	if b.length > shortBody {
		return r
	}
	return io.NopCloser(bytes.NewReader(r.encode(make([]byte, 0, b.length))))
}

// bodyReader encodes the messages as it is read. It lets go of them at its end: the request is
// held for as long as the answer is read.
type bodyReader struct {
	mu sync.Mutex // held by Read and Close: a request that is given up is closed while it is read

	body    *body  // nil after the end
	ready   []byte // is read before more is encoded
	buffer  []byte
	begun   bool
	message int // is encoded next
	part    int // of that message
	at      int // in the text of that part
	ended   bool
}

// Read implements io.Reader.
func (r *bodyReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.ready) == 0 {
		if r.ended || r.body == nil {
			r.letGo()
			return 0, io.EOF
		}
		r.buffer = r.encode(r.buffer[:0])
		r.ready = r.buffer
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

// Close implements io.Closer.
func (r *bodyReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.letGo()
	return nil
}

func (r *bodyReader) letGo() { r.body, r.ready, r.buffer = nil, nil, nil }

// encode appends what comes next, whole messages while they are short.
func (r *bodyReader) encode(out []byte) []byte {
	if !r.begun {
		r.begun = true
		out = append(out, r.body.head...)
	}
	for len(out) < pieceBytes {
		if r.message == len(r.body.messages) {
			r.ended = true
			return append(out, messagesEnd...)
		}
		out = r.encodeMore(out, &r.body.messages[r.message])
	}
	return out
}

// encodeMore appends a piece of a message.
func (r *bodyReader) encodeMore(out []byte, m *prompt.Message) []byte {
	if r.part == 0 && r.at == 0 {
		if r.message > 0 {
			out = append(out, ',')
		}
		out = appendText(append(out, messageBegin...), string(m.Role))
		out = append(out, messageText...)
	}
	if r.part < len(m.Parts) {
		rest := m.Parts[r.part].Text[r.at:]
		if r.part > 0 && r.at == 0 {
			out = appendText(out, prompt.Joint)
		}
		piece := rest
		if len(rest) > pieceBytes {
			piece = rest[:runeStart(rest, pieceBytes)]
		}
		out = appendText(out, piece)
		if r.at += len(piece); len(piece) < len(rest) {
			return out
		}
		r.part, r.at = r.part+1, 0
	}
	if r.part >= len(m.Parts) {
		out = append(out, messageEnd...)
		r.message, r.part = r.message+1, 0
	}
	return out
}

// runeStart is the last place up to n where a rune of s begins, or n in what is no UTF-8.
func runeStart(s string, n int) int {
	for at := n; at > n-utf8.UTFMax; at-- {
		if utf8.RuneStart(s[at]) {
			return at
		}
	}
	return n
}

// encodedLen is how much appendText adds.
func encodedLen(s string) int {
	n := len(s)
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				n += len(`\ufffd`) - 1
			}
			i += size
			continue
		}
		i++
		switch {
		case c == '"', c == '\\', c == '\n', c == '\t', c == '\r':
			n++
		case c < ' ':
			n += len(`\u0000`) - 1
		}
	}
	return n
}

// appendText adds a text as it stands between the quotes of JSON, with U+FFFD for what is
// not UTF-8.
func appendText(out []byte, s string) []byte {
	const hex = "0123456789abcdef"
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				out = append(append(out, s[start:i]...), `\ufffd`...)
				start = i + 1
			}
			i += size
			continue
		}
		i++
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		out = append(out, s[start:i-1]...)
		start = i
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, `\n`...)
		case '\t':
			out = append(out, `\t`...)
		case '\r':
			out = append(out, `\r`...)
		default:
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(out, s[start:]...)
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
