package graph_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lib/pq"

	"parley/graph"
	"parley/internal/auth"
	"parley/internal/catalog"
	"parley/internal/chat"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// The shape of each refusal, made by the real thing.
func TestRefusals(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	fields := func(a answer) []string {
		m, _ := a.Errors[0].Extensions["fields"].(map[string]any)
		var names []string
		for name := range m {
			names = append(names, name)
		}
		slices.Sort(names)
		return names
	}

	done := b.send(ada, "", "hello", vars{"wait": true, "clientKey": "the-first-key"})
	stale := b.wantCode(ada, "STALE_HEAD", sendDocument,
		vars{"input": vars{"conversationId": done.conversation, "content": "x", "expectedHeadId": done.user}})
	if diff := cmp.Diff(map[string]any{"code": "STALE_HEAD", "headId": string(done.reply)},
		stale.Errors[0].Extensions); diff != "" {
		t.Errorf("STALE_HEAD (-want +got):\n%s", diff)
	}
	conflict := b.wantCode(ada, "IDEMPOTENCY_CONFLICT", sendDocument,
		vars{"input": vars{"content": "other", "clientKey": "the-first-key"}})
	if len(conflict.Errors[0].Extensions) != 1 {
		t.Errorf("IDEMPOTENCY_CONFLICT has extras: %s", conflict.raw)
	}

	running, s := b.start(ada, "")
	busy := b.wantCode(ada, "CONVERSATION_BUSY", sendDocument,
		vars{"input": vars{"conversationId": running.conversation, "content": "x"}})
	e := busy.Errors[0].Extensions
	at, err := time.Parse(time.RFC3339Nano, fmt.Sprint(e["startedAt"]))
	if e["messageId"] != string(running.reply) || err != nil || time.Since(at).Abs() > time.Minute || len(e) != 3 {
		t.Errorf("CONVERSATION_BUSY: got %v, want messageId %s and startedAt", e, running.reply)
	}
	for range chat.MaxQueued {
		b.send(ada, running.conversation, "in turn", vars{"onBusy": "QUEUE"})
	}
	full := b.wantCode(ada, "QUEUE_FULL", sendDocument,
		vars{"input": vars{"conversationId": running.conversation, "content": "x", "onBusy": "QUEUE"}})
	if len(full.Errors[0].Extensions) != 1 {
		t.Errorf("QUEUE_FULL has extras: %s", full.raw)
	}
	s.finish(t, nil)

	bad := b.wantCode(ada, "BAD_USER_INPUT", sendDocument, vars{"input": vars{
		"content": " ", "clientKey": "short", "expectedHeadId": "x",
		"parameters": vars{"temperature": 3, "maxTokens": 0},
	}})
	if want := []string{"clientKey", "content", "expectedHeadId", "parameters.maxTokens",
		"parameters.temperature"}; !slices.Equal(fields(bad), want) {
		t.Errorf("BAD_USER_INPUT names %v, want %v", fields(bad), want)
	}
	bad = b.wantCode(nobody, "BAD_USER_INPUT",
		`mutation { signUp(input: {email: "no", password: "short"}) { user { id } } }`, nil)
	if want := []string{"email", "password"}; !slices.Equal(fields(bad), want) {
		t.Errorf("BAD_USER_INPUT names %v, want %v", fields(bad), want)
	}

	b.wantCode(ada, "NOT_FOUND", sendDocument, vars{"input": vars{"content": "x", "conversationId": "cnv_x"}})
	b.wantCode(ada, "BAD_USER_INPUT", sendDocument, vars{"input": vars{"content": "x", "model": "no-such-model"}})
	b.wantCode(nobody, "UNAUTHENTICATED", sendDocument, vars{"input": vars{"content": "x"}})
	b.wantCode(nobody, "UNAUTHENTICATED",
		`mutation { signIn(input: {email: "ada@example.org", password: "wrong one"}) { user { id } } }`, nil)
	b.wantCode(nobody, "UNAUTHENTICATED", `mutation { refreshSession(input: {refreshToken: "prt.x"}) { user { id } } }`,
		nil)
	b.wantCode(ada, "BAD_USER_INPUT", `mutation($id: ID!) { stopReply(input: {messageId: $id}) { message { id } } }`,
		vars{"id": done.user})
	tooMany := make([]string, 101)
	b.wantCode(ada, "BAD_USER_INPUT", `query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, vars{"ids": tooMany})
}

func TestRefusalsOfConfiguration(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t), options{
		chat:    chat.Config{SendsPerMinute: 1},
		catalog: catalog.Config{Source: models{modelServer, modelPieces}},
	})
	ada := b.signUp("ada")
	required := b.wantCode(ada, "MODEL_REQUIRED", sendDocument, vars{"input": vars{"content": "x"}})
	if diff := cmp.Diff([]any{modelServer, modelPieces}, required.Errors[0].Extensions["models"]); diff != "" {
		t.Errorf("MODEL_REQUIRED.models (-want +got):\n%s", diff)
	}
	b.send(ada, "", "hello", vars{"model": modelServer, "wait": true})
	limited := b.wantCode(ada, "RATE_LIMITED", sendDocument, vars{"input": vars{"content": "x", "model": modelServer}})
	if after, _ := limited.Errors[0].Extensions["retryAfter"].(float64); after < 1 || after > 60 ||
		after != float64(int(after)) {
		t.Errorf("RATE_LIMITED.retryAfter is %v, want whole seconds up to 60", after)
	}

	b = setup(t, storetest.SQLite(t), options{
		auth: func(c *auth.Config) { c.SignUpOpen = false },
	})
	b.wantCode(nobody, "FORBIDDEN", `mutation { signUp(input: {email: "a@example.org", password: "`+password+
		`"}) { user { id } } }`, nil)
}

func TestModelServerDown(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t), options{catalog: catalog.Config{Source: deadModels{}}})
	ada := b.signUp("ada")
	for _, document := range []string{`{ models { name } }`,
		`mutation { sendMessage(input: {content: "x"}) { reply { id } } }`} {
		if a := b.wantCode(ada, "MODEL_UNAVAILABLE", document, nil); strings.Contains(a.raw, "10.0.0.7") {
			t.Errorf("got %s, which tells where the model server is", a.raw)
		}
	}
}

// models is what a model server offers.
type models []string

func (m models) Models(context.Context) ([]string, error) { return m, nil }

type deadModels struct{}

func (deadModels) Models(context.Context) ([]string, error) {
	return nil, errors.New("dial tcp 10.0.0.7:11434: connection refused")
}

// What errors turn into, one by one.
func TestErrorPresenter(t *testing.T) {
	t.Parallel()
	log := &logBuffer{}
	present := graph.ErrorPresenter(slog.New(slog.NewTextHandler(log, nil)), store.IsUnavailable)
	for name, c := range map[string]struct {
		err  error
		want map[string]any
	}{
		"refusal": {&refusal.Error{Code: refusal.CodeModelUnavailable, Message: "m"},
			map[string]any{"code": "MODEL_UNAVAILABLE"}},
		"wrapped": {fmt.Errorf("x: %w", refusal.NotFound("message")), map[string]any{"code": "NOT_FOUND"}},
		"beside an outage": {errors.Join(refusal.NotFound("message"), driver.ErrBadConn),
			map[string]any{"code": "NOT_FOUND"}},
		"extras": {&refusal.Error{Code: refusal.CodeStaleHead, Extras: map[string]any{"headId": "msg_1"}},
			map[string]any{"code": "STALE_HEAD", "headId": "msg_1"}},
		"retry": {refusal.RateLimited("m", 2100*time.Millisecond),
			map[string]any{"code": "RATE_LIMITED", "retryAfter": 3}},
		"fields": {refusal.BadInput("a", "b"),
			map[string]any{"code": "BAD_USER_INPUT", "fields": map[string]string{"a": "b"}}},
		"cursor": {fmt.Errorf("x: %w", reply.ErrBadCursor), map[string]any{"code": "BAD_USER_INPUT",
			"fields": map[string]string{"after": "is not a cursor of this message"}}},
		"database": {fmt.Errorf("x: %w", driver.ErrBadConn), map[string]any{"code": "UNAVAILABLE"}},
		"deadline": {context.DeadlineExceeded, map[string]any{"code": "UNAVAILABLE"}},
		"syntax":   {&pq.Error{Code: "42601", Message: "syntax error"}, map[string]any{"code": "INTERNAL"}},
		"unique":   {&pq.Error{Code: "23505"}, map[string]any{"code": "INTERNAL"}},
		"unknown":  {errors.New("boom"), map[string]any{"code": "INTERNAL"}},
	} {
		got := present(t.Context(), c.err)
		if c.want["code"] == "INTERNAL" {
			id, _ := got.Extensions["id"].(string)
			if len(id) < 20 || !strings.Contains(log.String(), "error_id="+id) || got.Message != "Internal error." {
				t.Errorf("%s: got %q %v, want an id that the log has too", name, got.Message, got.Extensions)
			}
			delete(got.Extensions, "id")
		}
		if diff := cmp.Diff(c.want, got.Extensions); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// leaks finds what no client may see.
var leaks = regexp.MustCompile(
	`leak-canary|pq:|sqlite|SQLITE|SELECT|INSERT|UPDATE |goroutine|runtime\.|panic|\.go:|/work|/root|/tmp|/usr|\*ent\.|\*errors\.|ent:|strconv|json:|pid\.|interface \{\}|map\[|nil pointer|Did you mean`)

// Whatever fails below, a client learns its code and nothing else.
func TestFailuresTellNothing(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	w := newWorld(t, b)
	sick := []func() error{
		func() error { return errors.New(`pq: syntax error at or near "leak-canary"`) },
		func() error { return &pq.Error{Code: "42P01", Message: `relation "leak-canary" does not exist`} },
		func() error { return fmt.Errorf("SELECT leak-canary FROM messages: %w", driver.ErrBadConn) },
		func() error { return fmt.Errorf("open /work/leak-canary: %w", context.DeadlineExceeded) },
		func() error { return &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("leak-canary")} },
		func() error { return fmt.Errorf("*ent.Message leak-canary %T", b) },
		func() error { panic("leak-canary") },
		func() error { panic(errors.New("leak-canary in a panic")) },
		func() error {
			var anything any = "leak-canary"
			_ = anything.(error)
			return nil
		},
		func() error {
			var nothing *bundle
			_ = nothing.url
			return nil
		},
	}
	for i, fail := range sick {
		for _, c := range matrix {
			if c.anonymous == open || c.field == "Query.models" || c.field == "Mutation.signOut" ||
				c.field == "Mutation.changePassword" {
				continue // They ask nothing as a user, or change what the next case needs.
			}
			b.faults.on(fail)
			a := b.post(w.b, c.document, c.variables(w, string(w.bConversation.conversation)))
			b.faults.off()
			if leak := leaks.FindString(a.raw); leak != "" {
				t.Errorf("failure %d in %s leaks %q: %s", i, c.field, leak, a.raw)
			}
			if len(a.Errors) == 0 {
				continue // A panic between two statements of a feed, for example.
			}
			for _, e := range a.Errors {
				if strings.HasSuffix(c.id, ".expectedHeadId") && e.Extensions["code"] == "STALE_HEAD" {
					continue // The statement that reads the head is written by hand, and does not fail here.
				}
				if code := e.Extensions["code"]; code != "INTERNAL" && code != "UNAVAILABLE" {
					t.Errorf("failure %d in %s: got the code %v, want INTERNAL or UNAVAILABLE: %s", i, c.field, code,
						a.raw)
				} else if code == "INTERNAL" && e.Extensions["id"] == nil {
					t.Errorf("failure %d in %s: INTERNAL without an id: %s", i, c.field, a.raw)
				}
			}
		}
	}
	if !strings.Contains(b.log.String(), "leak-canary") {
		t.Error("the log does not say what happened")
	}
	b.ask(w.b, `{ viewer { id } conversations { nodes { id } } }`, nil)
}

// A panic while a feed reads does not end the process, nor the feed.
func TestPanicInAFeed(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	sub := b.subscribe(ada, `subscription { viewerEvents { __typename } }`, nil)
	sub.event(t)
	var once bool
	b.faults.on(func() error {
		if !once { // faults are hit by this one feed only.
			once = true
			panic("leak-canary")
		}
		return nil
	})
	b.bus.Publish(createdFact(ada.id, "cnv_x"))
	event := sub.ahead(t)
	eventually(t, "the feed panics", func() bool { return strings.Contains(b.log.String(), "leak-canary") })
	b.faults.off()
	b.conversation(ada, vars{"name": "after"})
	if got := event().at("viewerEvents.__typename"); got != "ConversationCreated" {
		t.Errorf("got %v, want ConversationCreated", got)
	}
}

// What a client gets wrong is the client's fault, also where Go notices late.
func TestBadInputsAreNotInternal(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	c := b.conversation(ada, vars{})
	for _, q := range []struct {
		document string
		v        vars
	}{
		{`{ conversations(first: 99999999999999999999) { totalCount } }`, nil},
		{`{ conversations(first: 2147483648) { totalCount } }`, nil},
		{`{ conversations(first: 1.5) { totalCount } }`, nil},
		{`{ conversations(first: "1") { totalCount } }`, nil},
		{`query($n: Int) { conversations(first: $n) { totalCount } }`, vars{"n": 1e30}},
		{`query($n: Int) { conversations(first: $n) { totalCount } }`, vars{"n": vars{}}},
		{`query($n: Int) { conversations(first: $n) { totalCount } }`, vars{"n": []int{1, 2}}},
		{`query($s: String) { conversations(after: $s) { totalCount } }`, vars{"s": 1}},
		{`query($id: ID!) { node(id: $id) { id } }`, vars{"id": true}},
		{`query($id: ID!) { node(id: $id) { id } }`, vars{"id": vars{"a": 1}}},
		{`query($id: ID!) { node(id: $id) { id } }`, vars{"id": nil}},
		{`query($id: ID!) { node(id: $id) { id } }`, nil},
		{`query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, vars{"ids": []any{"a", nil}}},
		{`query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, vars{"ids": []any{[]any{"a"}}}},
		{sendDocument, vars{"input": vars{"content": nil}}},
		{sendDocument, vars{"input": vars{}}},
		{sendDocument, vars{"input": nil}},
		{sendDocument, vars{"input": "x"}},
		{sendDocument, vars{"input": []any{vars{"content": "x"}, vars{"content": "y"}}}},
		{sendDocument, vars{"input": vars{"content": "x", "onBusy": "NEVER"}}},
		{sendDocument, vars{"input": vars{"content": "x", "onBusy": 1}}},
		{sendDocument, vars{"input": vars{"content": "x", "wait": "yes"}}},
		{sendDocument, vars{"input": vars{"content": "x", "parameters": vars{"temperature": "hot"}}}},
		{sendDocument, vars{"input": vars{"content": "x", "parameters": vars{"maxTokens": 1.5}}}},
		{sendDocument, vars{"input": vars{"content": "x", "parameters": vars{"maxTokens": 1e300}}}},
		{sendDocument, vars{"input": vars{"content": "x", "parameters": vars{"seed": 1e300}}}},
		{sendDocument, vars{"input": vars{"content": "x", "parameters": vars{"stop": []any{nil}}}}},
		{sendDocument, vars{"input": vars{"content": "x", "parameters": vars{"responseFormat": vars{"type": "XML"}}}}},
		{sendDocument, vars{"input": vars{"content": "x", "parameters": vars{"responseFormat": vars{}}}}},
		{sendDocument, vars{"input": vars{"content": "x\u0000y"}}},
		{sendDocument, vars{"input": vars{"content": strings.Repeat("x", 32<<10+1)}}},
		{`mutation($in: UpdateConversationInput!) { updateConversation(input: $in) { conversation { id } } }`,
			vars{"in": vars{"conversationId": c, "pinned": 1}}},
		{`mutation($in: UpdateConversationInput!) { updateConversation(input: $in) { conversation { id } } }`,
			vars{"in": vars{"conversationId": c, "name": "\u0000"}}},
		{`mutation($in: SignUpInput!) { signUp(input: $in) { user { id } } }`,
			vars{"in": vars{"email": "a@example.org", "password": password, "name": "\u0000"}}},
		{`mutation($in: SignInInput!) { signIn(input: $in) { user { id } } }`,
			vars{"in": vars{"email": "\u0000", "password": "\u0000"}}},
		{`subscription($a: String) { messageEvents(messageId: "x", after: $a) { __typename } }`, vars{"a": 1}},
		{`{ nothing }`, nil},
		{`{ viewer { role } }`, nil},
		{`{`, nil},
		{``, nil},
		{`query A { viewer { id } } query B { viewer { id } }`, nil},
		{`fragment f on Query { viewer { id } }`, nil},
	} {
		a := b.post(ada, q.document, q.v)
		code := a.code()
		if !slices.Contains([]string{"BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED",
			"UNAUTHENTICATED"}, code) {
			t.Errorf("%s %v: got %s, want a code that says whose fault it is", q.document, q.v, a.raw)
		}
		if leak := leaks.FindString(a.raw); leak != "" {
			t.Errorf("%s %v leaks %q: %s", q.document, q.v, leak, a.raw)
		}
	}
}

// The database is closed while the server runs.
func TestDatabaseGone(t *testing.T) {
	t.Parallel()
	db := storetest.SQLite(t)
	b := setup(t, db, options{})
	ada := b.signUp("ada")
	s := b.send(ada, "", "hello", vars{"wait": true})
	b.ask(ada, `{ viewer { id } }`, nil)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		document string
		v        vars
	}{
		{`{ viewer { id } }`, nil},
		{`{ conversations { nodes { id } } }`, nil},
		{`query($id: ID!) { node(id: $id) { id } }`, vars{"id": s.reply}},
		{`query($id: ID!) { node(id: $id) { id } }`, vars{"id": ada.id}},
		{`query($id: ID!) { conversation(id: $id) { id } }`, vars{"id": s.conversation}},
		{`mutation($id: ID!) { deleteConversation(input: {conversationId: $id}) { conversationId } }`,
			vars{"id": s.conversation}},
		{`mutation { createConversation(input: {}) { conversation { id } } }`, nil},
		{sendDocument, vars{"input": vars{"content": "x"}}},
		{sendDocument, vars{"input": vars{"content": "x", "conversationId": s.conversation}}},
		{`mutation($id: ID!) { stopReply(input: {messageId: $id}) { message { id } } }`, vars{"id": s.reply}},
		{`mutation { signIn(input: {email: "ada@example.org", password: "` + password + `"}) { user { id } } }`, nil},
		{`subscription($id: ID!) { messageEvents(messageId: $id) { __typename } }`, vars{"id": s.reply}},
		{`subscription($id: ID!) { conversationEvents(conversationId: $id) { __typename } }`,
			vars{"id": s.conversation}},
		{`subscription { viewerEvents { __typename } }`, nil},
	} {
		a := b.post(ada, c.document, c.v)
		if a.code() != "UNAVAILABLE" || leaks.MatchString(a.raw) {
			t.Errorf("%s: got %s, want UNAVAILABLE", c.document, a.raw)
		}
	}
}

// Names in small letters pass the check of variables. They are no names, and that is the
// client's mistake.
func TestSmallLetters(t *testing.T) {
	t.Parallel()
	b := onSQLite(t)
	ada := b.signUp("ada")
	const create = `mutation($input: CreateConversationInput!) { createConversation(input: $input) {
		conversation { id } } }`
	for field, c := range map[string]struct {
		document string
		input    vars
	}{
		"onBusy": {sendDocument, vars{"content": "x", "onBusy": "reject"}},
		"parameters.responseFormat.type": {sendDocument,
			vars{"content": "x", "parameters": vars{"responseFormat": vars{"type": "Text"}}}},
		"parameters.reasoningEffort": {sendDocument,
			vars{"content": "x", "parameters": vars{"reasoningEffort": "low"}}},
		"parameters.verbosity": {create, vars{"parameters": vars{"verbosity": "High"}}},
		"context.policy":       {create, vars{"context": vars{"policy": "full"}}},
	} {
		a := b.wantCode(ada, "BAD_USER_INPUT", c.document, vars{"input": c.input})
		want := vars{field: "has a value that does not fit the schema"}
		if diff := cmp.Diff(any(want), a.Errors[0].Extensions["fields"]); diff != "" || len(a.Errors[0].Path) != 1 {
			t.Errorf("%s: path %v, fields (-want +got):\n%s", field, a.Errors[0].Path, diff)
		}
	}
	a := b.wantCode(ada, "BAD_USER_INPUT", `mutation($policy: ContextPolicy!) {
		createConversation(input: {context: {policy: $policy}}) { conversation { id } } }`, vars{"policy": "last_n"})
	if fields, _ := a.Errors[0].Extensions["fields"].(vars); fields["context.policy"] == nil {
		t.Errorf("got %s, want the field", a.raw)
	}
	if strings.Contains(b.log.String(), "internal error") {
		t.Error("a client's mistakes are logged as ours")
	}
}
