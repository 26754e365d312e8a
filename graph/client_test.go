package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"parley/internal/fact"
	"parley/internal/pid"
)

type vars = map[string]any

// answer is what a client gets.
type answer struct {
	raw    string // the whole JSON
	Data   any    `json:"data"`
	Errors []struct {
		Message    string         `json:"message"`
		Path       []any          `json:"path"`
		Extensions map[string]any `json:"extensions"`
	} `json:"errors"`
}

// code returns the code of the only error, "" for none.
func (a answer) code() string {
	if len(a.Errors) == 0 {
		return ""
	}
	code, _ := a.Errors[0].Extensions["code"].(string)
	if len(a.Errors) > 1 || code == "" {
		return "not one error with a code: " + a.raw
	}
	return code
}

// at walks into the data: "conversation.messages.nodes.0.id".
func (a answer) at(path string) any { return at(a.Data, path) }

func (a answer) id(path string) pid.ID { return pid.ID(fmt.Sprint(a.at(path))) }

func at(v any, path string) any {
	for _, step := range strings.Split(path, ".") {
		switch w := v.(type) {
		case map[string]any:
			v = w[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(w) {
				return nil
			}
			v = w[i]
		default:
			return nil
		}
	}
	return v
}

// texts collects one member of every object of a list.
func texts(v any, member string) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, item := range list {
		out = append(out, fmt.Sprint(at(item, member)))
	}
	return out
}

// post sends an operation over HTTP, a subscription as a stream whose first
// event is the answer. How refusals speak is checked in any case.
func (b *bundle) post(p person, document string, v vars) answer {
	b.t.Helper()
	a, err := b.tryPost(b.t.Context(), p, document, v)
	if err != nil {
		b.t.Fatalf("%s: %v", document, err)
	}
	checkVoice(b.t, a)
	return a
}

func (b *bundle) tryPost(ctx context.Context, p person, document string, v vars) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	body, err := json.Marshal(map[string]any{"query": document, "variables": v})
	if err != nil {
		return answer{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	if p.token != "" {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	isStream := strings.HasPrefix(strings.TrimSpace(document), "subscription")
	if isStream {
		r.Header.Set("Accept", "text/event-stream")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	var raw []byte
	if isStream {
		raw, err = firstEvent(resp.Body)
	} else {
		raw, err = io.ReadAll(resp.Body)
	}
	if err != nil {
		return answer{}, err
	}
	a := answer{raw: string(raw)}
	if err := json.Unmarshal(raw, &a); err != nil {
		return a, fmt.Errorf("%w in %q", err, raw)
	}
	return a, nil
}

func firstEvent(r io.Reader) ([]byte, error) {
	var got []byte
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		got = append(got, buf[:n]...)
		if _, rest, ok := bytes.Cut(got, []byte("data: ")); ok {
			if line, _, ok := bytes.Cut(rest, []byte("\n")); ok {
				return line, nil
			}
		}
		if err != nil && json.Valid(got) {
			return got, nil // Refused before there was a stream.
		}
		if err != nil {
			return nil, fmt.Errorf("%w after %q", err, got)
		}
	}
}

// ask is post for an operation that has to succeed.
func (b *bundle) ask(p person, document string, v vars) answer {
	b.t.Helper()
	a := b.post(p, document, v)
	if len(a.Errors) > 0 {
		b.t.Fatalf("%s: got errors %s", document, a.raw)
	}
	return a
}

// wantCode is post for an operation that has to be refused.
func (b *bundle) wantCode(p person, code, document string, v vars) answer {
	b.t.Helper()
	a := b.post(p, document, v)
	if a.code() != code {
		b.t.Fatalf("%s %v: got %s, want the code %q", document, v, a.raw, code)
	}
	return a
}

const sendDocument = `mutation($input: SendMessageInput!) { sendMessage(input: $input) {
	conversation { id headId } userMessage { id } reply { id status content } deduplicated } }`

// sent is a pair that was sent.
type sent struct{ conversation, user, reply pid.ID }

// send sends a message; an empty conversation id makes a new one.
func (b *bundle) send(p person, conversation pid.ID, content string, more vars) sent {
	b.t.Helper()
	input := vars{"content": content}
	if conversation != "" {
		input["conversationId"] = conversation
	}
	for k, v := range more {
		input[k] = v
	}
	a := b.ask(p, sendDocument, vars{"input": input})
	return sent{
		conversation: a.id("sendMessage.conversation.id"),
		user:         a.id("sendMessage.userMessage.id"),
		reply:        a.id("sendMessage.reply.id"),
	}
}

// start sends a message that the model of pieces answers.
func (b *bundle) start(p person, conversation pid.ID) (sent, *script) {
	b.t.Helper()
	s := b.send(p, conversation, "Tell me.", vars{"model": modelPieces})
	return s, b.pieces.call(b.t)
}

func (b *bundle) conversation(p person, input vars) pid.ID {
	b.t.Helper()
	return b.ask(p, `mutation($input: CreateConversationInput!) {
		createConversation(input: $input) { conversation { id } } }`, vars{"input": input}).id("createConversation.conversation.id")
}

// subscriber pulls the events of a subscription one by one from the executor, so
// that a test decides when each is taken.
type subscriber struct {
	ctx    context.Context
	cancel context.CancelFunc
	pull   graphql.ResponseHandler
}

func (b *bundle) subscribe(p person, document string, v vars) *subscriber {
	b.t.Helper()
	ctx, cancel := context.WithCancel(graphql.StartOperationTrace(b.as(p)))
	text, err := json.Marshal(v)
	if err != nil {
		b.t.Fatal(err)
	}
	var plain map[string]any // As a client would send them.
	if err := json.Unmarshal(text, &plain); err != nil {
		b.t.Fatal(err)
	}
	op, errs := b.exec.CreateOperationContext(ctx, &graphql.RawParams{Query: document, Variables: plain})
	if errs != nil {
		b.t.Fatalf("%s: %v", document, errs)
	}
	s := &subscriber{cancel: cancel}
	s.pull, s.ctx = b.exec.DispatchOperation(ctx, op)
	b.t.Cleanup(cancel)
	return s
}

// next returns the next event, or false when the subscription has completed.
func (s *subscriber) next(t testing.TB) (answer, bool) {
	t.Helper()
	late := time.AfterFunc(patience, s.cancel)
	defer late.Stop()
	r := s.pull(s.ctx)
	if r == nil {
		if s.ctx.Err() != nil {
			t.Fatal("no event came, and the subscription did not complete")
		}
		return answer{}, false
	}
	raw, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{raw: string(raw)}
	if err := json.Unmarshal(raw, &a); err != nil {
		t.Fatal(err)
	}
	return a, true
}

// event is next for an event that has to come.
func (s *subscriber) event(t testing.TB) answer {
	t.Helper()
	a, ok := s.next(t)
	if !ok {
		t.Fatal("the subscription completed, want one more event")
	}
	if len(a.Errors) > 0 {
		t.Fatalf("got errors %s", a.raw)
	}
	return a
}

// ahead asks for the next event and returns at once, as a transport whose client has taken
// the last one. The caller calls event.
func (s *subscriber) ahead(t testing.TB) (event func() answer) {
	t.Helper()
	came := make(chan answer, 1)
	go func() {
		defer close(came) // Also when the test has failed.
		came <- s.event(t)
	}()
	return func() answer { return <-came }
}

func (s *subscriber) wantCompleted(t testing.TB) {
	t.Helper()
	if a, ok := s.next(t); ok {
		t.Fatalf("got %s, want the subscription to complete", a.raw)
	}
}

func createdFact(user, conversation pid.ID) fact.Fact {
	return fact.Fact{Kind: fact.ConversationCreated, UserID: user, ConversationID: conversation}
}
