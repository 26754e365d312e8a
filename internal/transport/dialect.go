package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/vektah/gqlparser/v2/gqlerror"
)

// messageKind is what a client's message asks for, in either protocol.
type messageKind uint8

const (
	messageInit messageKind = iota + 1
	messagePing
	messagePong
	messageStart
	messageStop
	messageTerminate
)

// message is one message of a client.
type message struct {
	kind    messageKind
	id      string
	payload json.RawMessage
	init    map[string]any // the payload of messageInit
}

var errBadMessage = errors.New("bad message")

// dialect is one of the two WebSocket protocols. The append methods return nil for
// what the protocol does not say.
type dialect interface {
	name() string
	parse(data []byte) (message, error)
	duplicateIsFatal() bool
	refused(out []byte, reason string) []byte
	pong(out []byte, payload json.RawMessage) []byte
	keepAlive(out []byte) []byte
	// nextHead begins a message that a response and a closing brace complete.
	nextHead(out []byte, id string) []byte
	failed(out []byte, id string, errs gqlerror.List) []byte
}

// appendAcknowledged and appendComplete are the same in both protocols.
func appendAcknowledged(out []byte) []byte {
	return append(out, `{"type":"connection_ack"}`...)
}

func appendComplete(out []byte, id string) []byte {
	out = appendJSONString(append(out, `{"id":`...), id)
	return append(out, `,"type":"complete"}`...)
}

// envelope is a message as it comes.
type envelope struct {
	Type    string          `json:"type"`
	ID      *string         `json:"id"`
	Payload json.RawMessage `json:"payload"`
}

// parseEnvelope reads one message whose type is among kinds.
func parseEnvelope(data []byte, kinds map[string]messageKind) (message, error) {
	var e envelope
	if !utf8.Valid(data) || json.Unmarshal(data, &e) != nil || !distinctNames(data) {
		return message{}, errBadMessage
	}
	m := message{kind: kinds[e.Type], payload: e.Payload}
	if bytes.Equal(m.payload, []byte("null")) {
		m.payload = nil
	}
	switch m.kind {
	case 0:
		return message{}, errBadMessage
	case messageInit:
		if err := decodeObject(m.payload, &m.init); err != nil {
			return message{}, errBadMessage
		}
	case messagePing, messagePong:
		if len(m.payload) > 0 && m.payload[0] != '{' {
			return message{}, errBadMessage
		}
	case messageStart, messageStop:
		if e.ID == nil || *e.ID == "" {
			return message{}, errBadMessage
		}
		m.id = *e.ID
	}
	if m.kind == messageStart && (len(m.payload) == 0 || m.payload[0] != '{') {
		return message{}, errBadMessage
	}
	return m, nil
}

// appendJSONString appends a string as JSON. Ids come from the client.
func appendJSONString(out []byte, s string) []byte {
	b, err := json.Marshal(s)
	if err != nil {
		return append(out, `""`...) // Strings always encode.
	}
	return append(out, b...)
}

func appendErrors(out []byte, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return append(out, "null"...) // Extensions are ours, and encode.
	}
	return append(out, b...)
}

// transportWS is graphql-transport-ws, the protocol of the npm package graphql-ws.
type transportWS struct{}

func (transportWS) name() string { return "graphql-transport-ws" }

func (transportWS) parse(data []byte) (message, error) {
	return parseEnvelope(data, map[string]messageKind{
		"connection_init": messageInit, "ping": messagePing, "pong": messagePong,
		"subscribe": messageStart, "complete": messageStop,
	})
}

func (transportWS) duplicateIsFatal() bool { return true }

func (transportWS) refused([]byte, string) []byte { return nil } // The close code says it.

func (transportWS) pong(out []byte, payload json.RawMessage) []byte {
	out = append(out, `{"type":"pong"`...)
	if len(payload) > 0 {
		out = append(out, `,"payload":`...)
		out = append(out, payload...)
	}
	return append(out, '}')
}

func (transportWS) keepAlive([]byte) []byte { return nil }

func (transportWS) nextHead(out []byte, id string) []byte {
	out = appendJSONString(append(out, `{"id":`...), id)
	return append(out, `,"type":"next","payload":`...)
}

// failed is for requests that were not executed, and ends the operation by itself.
func (transportWS) failed(out []byte, id string, errs gqlerror.List) []byte {
	out = appendJSONString(append(out, `{"id":`...), id)
	out = appendErrors(append(out, `,"type":"error","payload":`...), errs)
	return append(out, '}')
}

// legacyWS is graphql-ws, the protocol of the npm package
// subscriptions-transport-ws: the default of Altair and of Apollo Kotlin before 5.
type legacyWS struct{}

func (legacyWS) name() string { return "graphql-ws" }

func (legacyWS) parse(data []byte) (message, error) {
	return parseEnvelope(data, map[string]messageKind{
		"connection_init": messageInit, "start": messageStart, "stop": messageStop,
		"connection_terminate": messageTerminate,
	})
}

// duplicateIsFatal is false: the package's server replaces the operation.
func (legacyWS) duplicateIsFatal() bool { return false }

func (legacyWS) refused(out []byte, reason string) []byte {
	out = appendJSONString(append(out, `{"type":"connection_error","payload":{"message":`...), reason)
	return append(out, "}}"...)
}

func (legacyWS) pong([]byte, json.RawMessage) []byte { return nil }

func (legacyWS) keepAlive(out []byte) []byte { return append(out, `{"type":"ka"}`...) }

func (legacyWS) nextHead(out []byte, id string) []byte {
	out = appendJSONString(append(out, `{"id":`...), id)
	return append(out, `,"type":"data","payload":`...)
}

// failed carries one error as an object; clients of this protocol take no list.
func (legacyWS) failed(out []byte, id string, errs gqlerror.List) []byte {
	out = appendJSONString(append(out, `{"id":`...), id)
	out = appendErrors(append(out, `,"type":"error","payload":`...), errs[0])
	return append(out, '}')
}
