package main

import (
	"fmt"
	"strings"
	"testing"
)

// What calls a model stands in a document once, and gauges of a long list, or citations under
// many names, are too much for one.
func TestCostlyFields(t *testing.T) {
	t.Parallel()
	i := startInside(t, sqliteEnviron(t)...)
	token := i.signUp(t, "ada@example.org").AccessToken
	const (
		name    = `regenerateName(input: {conversationId: "x"}) { conversation { id } }`
		sum     = `summarizeConversation(input: {conversationId: "x"}) { summary { id } }`
		send    = `sendMessage(input: {conversationId: "x", content: "x"}) { reply { id } }`
		drop    = `deleteSummary(input: {summaryId: "x"}) { summaryId }`
		tooMuch = "OPERATION_TOO_COMPLEX"
	)
	aliases := func(field string, n int) string {
		var b strings.Builder
		for k := range n {
			fmt.Fprintf(&b, " a%d: %s", k, field)
		}
		return b.String()
	}
	list := func(field string) string { return "{ conversations(first: 100) { nodes {" + field + " } } }" }
	replies := func(field string) string {
		return "{ conversations(first: 1) { nodes { messages(first: 100) { nodes {" + field + " } } } } }"
	}
	for document, want := range map[string]string{
		"mutation { " + name + " }":                              "NOT_FOUND",
		"mutation { " + sum + " }":                               "NOT_FOUND",
		"mutation { a: " + name + " b: " + name + " }":           tooMuch,
		"mutation { a: " + sum + " b: " + sum + " }":             tooMuch,
		"mutation { " + name + " " + sum + " }":                  tooMuch,
		"mutation { " + name + " " + send + " }":                 tooMuch,
		"mutation { a: " + drop + " }":                           "NOT_FOUND",
		list(aliases("contextUse { usedTokens }", 2)):            "",
		list(aliases("contextUse { usedTokens }", 3)):            tooMuch,
		replies(aliases("citations { url }", 4)):                 "",
		replies(aliases("citations { start }", 5)):               tooMuch,
		replies(" sentToModel context { summary { content } } "): "",
	} {
		if got := i.ask(t, token, document, nil).code(); got != want {
			t.Errorf("%s: got %q, want %q", document, got, want)
		}
	}
}
