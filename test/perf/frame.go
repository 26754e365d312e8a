package main

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
)

// frame is one message of graphql-transport-ws, as far as a chat looks at it.
type frame struct {
	ID      string
	Type    string
	Payload json.RawMessage
}

// event is what a subscription to a conversation delivers.
type event struct {
	Typename string `json:"__typename"`
	Offset   int
	Text     string
	Message  struct {
		ID, Role, Status, Content string
		Attempt                   int
		Error                     *struct{ Code string }
	}
	RunningReply *struct{ ID string }
}

// result is the payload of a result.
type result struct {
	Data struct {
		CreateConversation struct {
			Conversation struct{ ID string }
		}
		SendMessage struct {
			Reply struct{ ID, Status, Content string }
		}
		SignUp struct {
			AccessToken string
		}
		Node               *struct{ Status string }
		ConversationEvents *event
	}
	Errors []gqlError
}

// gqlError is one error of GraphQL.
type gqlError struct {
	Message    string
	Extensions struct {
		Code       string
		RetryAfter float64
	}
}

// refusalOf returns what errors say, nil without any.
func refusalOf(errors []gqlError) error {
	if len(errors) == 0 {
		return nil
	}
	e := errors[0].Extensions
	return &refusal{code: e.Code, after: time.Duration(e.RetryAfter * float64(time.Second))}
}

var (
	deltaField   = []byte(`"__typename":"MessageDelta"`)
	offsetField  = []byte(`"offset":`)
	textField    = []byte(`"text":"`)
	messageField = []byte(`"message":{"id":"`)
)

// quickDelta reads a delta without parsing all of the JSON around it: most frames are
// deltas, and the client is to cost little. It returns false for what is not surely one.
func quickDelta(raw []byte) (offset int, text, id []byte, ok bool) {
	at := bytes.Index(raw, deltaField)
	if at < 0 {
		return 0, nil, nil, false
	}
	raw = raw[at+len(deltaField):]
	if at = bytes.Index(raw, offsetField); at < 0 {
		return 0, nil, nil, false
	}
	raw = raw[at+len(offsetField):]
	end := bytes.IndexByte(raw, ',')
	if end < 0 {
		return 0, nil, nil, false
	}
	offset, err := strconv.Atoi(string(raw[:end]))
	if err != nil {
		return 0, nil, nil, false
	}
	if text, raw, ok = quoted(raw[end:], textField); !ok {
		return 0, nil, nil, false
	}
	id, _, ok = quoted(raw, messageField)
	return offset, text, id, ok
}

// quoted returns the text behind a field, and what follows it. A text with an escape is
// left to a real parser.
func quoted(raw, field []byte) (text, rest []byte, ok bool) {
	at := bytes.Index(raw, field)
	if at < 0 {
		return nil, nil, false
	}
	raw = raw[at+len(field):]
	end := bytes.IndexByte(raw, '"')
	if end < 0 || bytes.IndexByte(raw[:end], '\\') >= 0 {
		return nil, nil, false
	}
	return raw[:end], raw[end+1:], true
}
