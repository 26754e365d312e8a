package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"parley/internal/upstream/eliza"
	"parley/internal/upstream/script"
)

// scriptRow is a row of the table in docs/clients.md: what is sent, and what it comes to.
type scriptRow struct{ send, status, finish, code string }

// scriptRows reads the table.
func scriptRows(t *testing.T) []scriptRow {
	t.Helper()
	guide, err := os.ReadFile("../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(guide), "\n## Build every state\n")
	text, _, _ = strings.Cut(text, "\n## ")
	var rows []scriptRow
	row := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| `(\\w+)` \\| (?:`(\\w+)`)? ?\\| (?:`(\\w+)`)? ?\\|")
	for _, m := range row.FindAllStringSubmatch(text, -1) {
		rows = append(rows, scriptRow{m[1], m[2], m[3], m[4]})
	}
	if want := strings.Count(text, "\n| `"); len(rows) != want || want < 30 {
		t.Fatalf("read %d rows of the table, want %d", len(rows), want)
	}
	return rows
}

// The table of the guide holds every command, and tells what a client sees of each.
func TestScriptTable(t *testing.T) {
	t.Parallel()
	rows := scriptRows(t)
	for _, c := range script.Commands() {
		names := func(r scriptRow) bool { return slices.Contains(strings.Fields(r.send), "/"+c.Name) }
		if !slices.ContainsFunc(rows, names) {
			t.Errorf("docs/clients.md has no row for /%s", c.Name)
		}
	}
	for _, name := range script.ErrorNames() {
		if !slices.ContainsFunc(rows, func(r scriptRow) bool { return r.send == "/error "+name }) {
			t.Errorf("docs/clients.md has no row for /error %s", name)
		}
	}

	i := startInside(t, append(sqliteEnviron(t), "PARLEY_MODEL=script", "PARLEY_SENDS_PER_MINUTE=0",
		"PARLEY_MAX_RUNNING=100", "PARLEY_REQUESTS_PER_USER=100")...)
	token := i.signUp(t, "ada@example.com").AccessToken
	ids := make([]string, len(rows)) // They are all written at once.
	for n, row := range rows {
		ids[n] = i.mustSend(t, token, map[string]any{"content": row.send}).Reply.ID
	}
	for n, row := range rows {
		t.Run(row.send, func(t *testing.T) { row.check(t, i, token, ids[n]) })
	}
}

// check waits for what the row says.
func (r scriptRow) check(t *testing.T, i *instance, token, id string) {
	t.Helper()
	var now struct {
		Node struct {
			Status, FinishReason, Content string
			Error                         *struct{ Code string }
		}
	}
	read := func() {
		i.into(t, token, `query ($id: ID!) { node(id: $id) { ... on Message {
			status finishReason content error { code } } } }`, map[string]any{"id": id}, &now)
	}
	if r.status == "STREAMING" {
		eventually(t, startLimit, r.send+" says what it says", func() bool { read(); return now.Node.Content != "" })
		defer i.into(t, token, `mutation ($id: ID!) { stopReply(input: {messageId: $id}) { message { id } } }`,
			map[string]any{"id": id}, &struct{}{})
	} else {
		eventually(t, startLimit, r.send+" has ended", func() bool { read(); return now.Node.Status != "STREAMING" })
	}
	code := ""
	if now.Node.Error != nil {
		code = now.Node.Error.Code
	}
	if now.Node.Status != r.status || now.Node.FinishReason != r.finish || code != r.code {
		t.Errorf("%s: got %s %s %s, want %s %s %s", r.send, now.Node.Status, now.Node.FinishReason, code, r.status,
			r.finish, r.code)
	}
}

// The server is as patient with it as with any other, so that somebody who builds a frontend can
// see a timeout without waiting for minutes.
func TestScriptHangs(t *testing.T) {
	t.Parallel()
	i := startInside(t, append(sqliteEnviron(t), "PARLEY_MODEL=script", "PARLEY_UPSTREAM_SILENCE=1s")...)
	token := i.signUp(t, "ada@example.com").AccessToken
	row := scriptRow{send: "/hang 1", status: "FAILED", code: "UPSTREAM_TIMEOUT"}
	row.check(t, i, token, i.mustSend(t, token, map[string]any{"content": row.send}).Reply.ID)
}

// The model is there in development, named in the list and never the default by itself.
func TestScriptListed(t *testing.T) {
	t.Parallel()
	for environ, want := range map[string]bool{
		"": true, "PARLEY_SCRIPT=off": false, "PARLEY_MODE=production": false,
		"PARLEY_MODE=production PARLEY_SCRIPT=on": true,
	} {
		cfg := mustLoad(t, append(strings.Fields(environ), "PARLEY_AUTH_KEYS="+testKeys)...)
		if got := cfg.ScriptListed(); got != want {
			t.Errorf("%q: listed %t, want %t", environ, got, want)
		}
		if got := slices.Contains(countedModels(cfg), script.Model); got != want {
			t.Errorf("%q: counted %t, want %t", environ, got, want)
		}
	}
	i := startInside(t, sqliteEnviron(t)...)
	var data struct {
		Models []struct {
			Name, Description string
			IsDefault         bool
		}
	}
	i.into(t, i.signUp(t, "ada@example.com").AccessToken, `{ models { name description isDefault } }`, nil, &data)
	if m := data.Models; len(m) != 2 || !m[0].IsDefault || m[1].Name != script.Model || m[1].IsDefault ||
		m[1].Description != script.Description {
		t.Errorf("got %+v, want the script behind ELIZA", data.Models)
	}
	if !strings.Contains(i.out.String(), `"script": for building frontends; send it /help`) {
		t.Errorf("the greeting does not name it:\n%s", i.out.String())
	}
	i.stop(t)
}

// A summary can be built against it, but not against ELIZA, which has nothing to say of others'
// talk.
func TestScriptSumsUp(t *testing.T) {
	t.Parallel()
	i := startInside(t, append(sqliteEnviron(t), "PARLEY_SENDS_PER_MINUTE=0")...)
	token := i.signUp(t, "ada@example.com").AccessToken
	summarize := func(model string, turns int) answer {
		var conversation any
		for range turns {
			sent := i.mustSend(t, token, map[string]any{"conversationId": conversation, "wait": true, "model": model,
				"content": "The harbour lies still. /tokens 20 /slow 0"})
			conversation = sent.Conversation.ID
		}
		return i.ask(t, token, `mutation ($id: ID!) { summarizeConversation(input: {conversationId: $id}) {
			summary { content } } }`, map[string]any{"id": conversation})
	}
	if a := summarize(script.Model, 8); !strings.Contains(string(a.Data), "Summed up: User: The harbour") {
		t.Errorf("got %s %v, want a summary", a.Data, a.Errors)
	}
	a := summarize(eliza.Model, 1)
	if len(a.Errors) != 1 || !strings.Contains(a.Errors[0].Message, "makes no summaries") {
		t.Errorf("got %s %v, want that ELIZA makes none", a.Data, a.Errors)
	}
	i.stop(t)
}

// A reply that was cut off is gone on with where it ends, to the end of what was to be written.
func TestScriptGoesOn(t *testing.T) {
	t.Parallel()
	i := startInside(t, append(sqliteEnviron(t), "PARLEY_MODEL=script")...)
	token := i.signUp(t, "ada@example.com").AccessToken
	whole := i.mustSend(t, token, map[string]any{"content": "/tokens 30", "wait": true}).Reply
	cut := i.mustSend(t, token, map[string]any{"content": "/tokens 30 /fail-at 12", "wait": true}).Reply
	if !strings.HasPrefix(whole.Content, cut.Content) || cut.Content == "" || len(cut.Content) == len(whole.Content) {
		t.Fatalf("got %q, want a part of %q", cut.Content, whole.Content)
	}
	var made struct {
		ContinueReply struct {
			Reply struct{ Content, Status string }
		}
	}
	i.into(t, token, `mutation ($id: ID!) { continueReply(input: {messageId: $id, wait: true}) {
		reply { content status } } }`, map[string]any{"id": cut.ID}, &made)
	if got := made.ContinueReply.Reply; got.Status != "COMPLETED" || got.Content != whole.Content {
		t.Errorf("got %s, %q, want %q", got.Status, got.Content, whole.Content)
	}
}
