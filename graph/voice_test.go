package graph_test

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"parley/internal/auth"
	"parley/internal/catalog"
	"parley/internal/chat"
	"parley/internal/refusal"
	"parley/internal/refusal/refusaltest"
	"parley/internal/store/storetest"
)

// comeBack are the codes that always say when to try again. A quota that resets does too.
var comeBack = []refusal.Code{refusal.CodeRateLimited, refusal.CodeOverloaded}

// checkVoice checks the words of the refusals in an answer. The executor's own errors
// have codes of their own, and are not ours to word.
func checkVoice(t testing.TB, a answer) {
	t.Helper()
	for _, e := range a.Errors {
		code := refusal.Code(fmt.Sprint(e.Extensions["code"]))
		if !slices.Contains(refusal.Codes(), code) {
			continue
		}
		given, _ := e.Extensions["fields"].(map[string]any)
		fields := make(map[string]string, len(given))
		for field, problem := range given {
			fields[field] = fmt.Sprint(problem)
		}
		for _, bad := range refusaltest.Voice(code, e.Message, fields) {
			t.Errorf("%s: %s", code, bad)
		}
		comes := slices.Contains(comeBack, code) || e.Extensions["resetsOn"] != nil
		if after, given := e.Extensions["retryAfter"].(float64); given != comes ||
			given && (after < 1 || after != float64(int(after))) {
			t.Errorf("%s: got retryAfter %v, want whole seconds where it is worth while to come back", code,
				e.Extensions["retryAfter"])
		}
		if id, given := e.Extensions["id"].(string); given != (code == refusal.CodeInternal) || given && len(id) < 20 {
			t.Errorf("%s: got the id %q, want one with INTERNAL only", code, id)
		}
	}
}

// Every code there is, made by the real thing. post looks at the words.
func TestEveryRefusal(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t), options{chat: chat.Config{MaxRunning: 1}})
	ada := b.signUp("ada")
	closed := setup(t, storetest.SQLite(t), options{auth: func(c *auth.Config) { c.SignUpOpen = false }})
	other := setup(t, storetest.SQLite(t), options{catalog: catalog.Config{Source: models{modelServer, modelPieces}}})
	otherAda := other.signUp("ada")
	dead := setup(t, storetest.SQLite(t), options{catalog: catalog.Config{Source: deadModels{}}})
	deadAda := dead.signUp("ada")

	spent := setup(t, storetest.SQLite(t), options{chat: chat.Config{ConversationsPerDay: 1}})
	spentAda := spent.signUp("ada")
	spent.conversation(spentAda, vars{})
	full := setup(t, storetest.SQLite(t), options{chat: chat.Config{MaxReplies: 1}})
	fullAda := full.signUp("ada")
	_, last := full.start(fullAda, "")

	short := setup(t, storetest.SQLite(t),
		options{chat: chat.Config{MaxMessageBytes: 1 << 10, MaxPromptBytes: 33 << 10}})
	shortAda, long := short.signUp("ada"), strings.Repeat("x", 1<<10)
	filled := short.send(shortAda, "", long, vars{"wait": true}).conversation
	for range 15 { // Each with a reply that says the same.
		short.send(shortAda, filled, long, vars{"wait": true})
	}
	wide := setup(t, storetest.SQLite(t), options{})
	wideAda := wide.signUp("ada")
	wideIDs := vars{"ids": repeated(wide.send(wideAda, "", controls, vars{"wait": true}).user, 100)}
	const wideDocument = `query($ids: [ID!]!) { nodes(ids: $ids) { ... on Message { content } } }`

	done := b.send(ada, "", "hello", vars{"wait": true, "clientKey": "the-first-key"})
	running, s := b.start(ada, "")
	for range chat.MaxQueued {
		b.send(ada, running.conversation, "in turn", vars{"onBusy": "QUEUE"})
	}
	input := func(more vars) vars {
		v := vars{"content": "x"}
		for name, value := range more {
			v[name] = value
		}
		return vars{"input": v}
	}
	signUp := `mutation { signUp(input: {email: "a@example.org", password: "` + password + `"}) { user { id } } }`
	failing := func(err error) answer {
		b.faults.on(func() error { return err })
		defer b.faults.off()
		return b.post(ada, `{ conversations { nodes { id } } }`, nil)
	}
	answers := map[refusal.Code]answer{
		refusal.CodeUnauthenticated: b.post(nobody, sendDocument, input(nil)),
		refusal.CodeForbidden:       closed.post(nobody, signUp, nil),
		refusal.CodeNotFound:        b.post(ada, sendDocument, input(vars{"conversationId": "cnv_x"})),
		refusal.CodeBadUserInput: b.post(ada, sendDocument, input(vars{"content": " ", "clientKey": "short",
			"parameters": vars{"stop": []string{""}, "responseFormat": vars{"type": "JSON_SCHEMA", "name": "",
				"schema": ""}}})),
		refusal.CodeIdempotencyConflict: b.post(ada, sendDocument, input(vars{"clientKey": "the-first-key"})),
		refusal.CodeStaleHead: b.post(ada, sendDocument,
			input(vars{"conversationId": done.conversation, "expectedHeadId": done.user})),
		refusal.CodeConversationBusy: b.post(ada, sendDocument, input(vars{"conversationId": running.conversation})),
		refusal.CodeQueueFull: b.post(ada, sendDocument,
			input(vars{"conversationId": running.conversation, "onBusy": "QUEUE"})),
		refusal.CodeContextTooLong: short.post(shortAda, sendDocument,
			input(vars{"conversationId": filled, "content": long})),
		refusal.CodeModelRequired:    other.post(otherAda, sendDocument, input(nil)),
		refusal.CodeModelUnavailable: dead.post(deadAda, sendDocument, input(nil)),
		refusal.CodeTooComplex:       wide.post(wideAda, wideDocument, wideIDs),
		refusal.CodeRateLimited:      b.post(ada, sendDocument, input(nil)),
		refusal.CodeOverloaded:       full.post(fullAda, sendDocument, input(nil)),
		refusal.CodeQuotaExceeded:    spent.post(spentAda, sendDocument, input(nil)),
		refusal.CodeUnavailable:      failing(driver.ErrBadConn),
		refusal.CodeInternal:         failing(errors.New("boom")),
	}
	for _, code := range refusal.Codes() {
		a, tried := answers[code]
		if !tried || a.code() != string(code) {
			t.Errorf("%s: got %s, want it to be refused so", code, a.raw)
		}
	}
	s.finish(t, nil)
	last.finish(t, nil)
}
