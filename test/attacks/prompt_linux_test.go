package attacks_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// modelServer starts a model server with two models, and returns the settings for it. The
// model "short" says a word, and "long" nearly as much as a reply may have.
func modelServer(t *testing.T) []string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: http.HandlerFunc(completion), ReadHeaderTimeout: patience}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = web.Serve(listener) // Until it is closed.
	}()
	t.Cleanup(func() {
		_ = web.Close() // Parley has ended.
		<-served
	})
	return []string{"OPENAI_BASE_URL=http://" + listener.Addr().String() + "/v1", "PARLEY_MODELS=short,long"}
}

func completion(w http.ResponseWriter, r *http.Request) {
	head, err := io.ReadAll(io.LimitReader(r.Body, 200))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, r.Body) // Whoever breaks off does not read the reply either.
	text, times := "Hello.", 1
	if bytes.Contains(head, []byte(`"model":"long"`)) {
		text, times = controls, 28
	}
	content, err := json.Marshal(text)
	if err != nil {
		panic(err) // The tests' own text.
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for range times {
		fmt.Fprintf(w, `data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[`+
			`{"index":0,"delta":{"content":%s},"finish_reason":null}]}`+"\n\n", content)
	}
	fmt.Fprint(w, `data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[`+
		`{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
}

// Long replies make several conversations longer than a prompt may be, six times as long in
// JSON; then many ask for more of them at once.
func TestLongPrompts(t *testing.T) {
	t.Parallel()
	s := start(t, modelServer(t)...)
	defer s.bystander(t)()
	eve := s.user(t, "eve")
	const conversations = 3
	var all sync.WaitGroup
	for range conversations {
		id := eve.ask(t, `mutation { createConversation(input: {model: "long"}) { conversation { id } } }`, nil).
			field(t, "createConversation", "conversation", "id")
		all.Go(func() { eve.fill(t, id) })
	}
	all.Wait()
	eve.ask(t, `mutation { sendMessage(input: {content: "As before.", wait: true}) { reply { id } } }`, nil)
}

// fill sends to a conversation until it is full, and sees to it that nothing of what is refused
// then is stored.
func (u *user) fill(t *testing.T, id string) {
	const send = `mutation ($id: ID!) { sendMessage(input: {conversationId: $id, content: "Go on.", wait: true}) {
		reply { status } } }`
	state := func() string {
		a, err := u.try(t.Context(), `query ($id: ID!) { conversation(id: $id) { headId runningReply { id }
			messages(last: 1) { totalCount nodes { status } } } }`, vars{"id": id})
		if err != nil || len(a.Errors) > 0 {
			t.Errorf("got %+v, %v", a.Errors, err)
		}
		return string(a.Data["conversation"])
	}
	for n := 0; ; n++ { // 0.9 MB each, of the 4 MB that a prompt may have.
		a, err := u.try(t.Context(), send, vars{"id": id})
		if err != nil || n == 10 || len(a.Errors) > 0 && (a.code() != "CONTEXT_TOO_LONG" || n < 4) {
			t.Errorf("message %d: got %+v, %v, want CONTEXT_TOO_LONG after five", n, a.Errors, err)
			return
		}
		if a.code() != "" {
			break
		}
	}
	before := state()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if a, err := u.try(t.Context(), send, vars{"id": id}); err != nil || a.code() != "CONTEXT_TOO_LONG" {
				t.Errorf("got %+v, %v, want CONTEXT_TOO_LONG", a.Errors, err)
			}
		})
	}
	all.Wait()
	if after := state(); after != before || before == "" {
		t.Errorf("what was refused left something: %s, want %s", after, before)
	}
}
