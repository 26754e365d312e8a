package prompt_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/prompt"
)

// said is a message as a server gets it.
type said struct {
	Role prompt.Role
	Text string
}

func heard(messages []prompt.Message) []said {
	var out []said
	for _, m := range messages {
		out = append(out, said{m.Role, m.Text()})
	}
	return out
}

// row is a stored message in the words of its row.
func row(role, status, content string) prompt.Row {
	return prompt.Row{Role: prompt.StoredRole(role), Status: prompt.StoredStatus(status), Content: content}
}

func system(content string) prompt.Row         { return row("SYSTEM", "COMPLETED", content) }
func question(content string) prompt.Row       { return row("USER", "COMPLETED", content) }
func cancelled(content string) prompt.Row      { return row("USER", "STOPPED", content) }
func answer(status, content string) prompt.Row { return row("ASSISTANT", status, content) }
func line(rows ...prompt.Row) []prompt.Row     { return rows }
func want(messages ...said) []said             { return messages }
func first(content string) said                { return said{prompt.System, content} }
func asks(content string) said                 { return said{prompt.User, content} }
func answers(content string) said              { return said{prompt.Assistant, content} }
func completed(content string) prompt.Row      { return answer("COMPLETED", content) }
func refusedReply(content string) prompt.Row {
	r := answer("FAILED", content)
	r.Refused = true
	return r
}
func waiting() prompt.Row { return answer("STOPPED", "") }

func TestOf(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		line []prompt.Row
		want []said
	}{
		"nothing":         {},
		"a first message": {line(system("Be brief."), question("hi")), want(first("Be brief."), asks("hi"))},
		"no system prompt": {line(system(""), question("hi"), completed("Hello."), question("and?")),
			want(asks("hi"), answers("Hello."), asks("and?"))},
		"a blank system prompt": {line(system(" \n\t\u00a0"), question("hi")), want(asks("hi"))},
		"a reply that has failed in the middle": {line(question("one"), answer("FAILED", "half of o"), question("two")),
			want(asks("one"), answers("half of o"), asks("two"))},
		"failed replies in a row": {
			line(question("one"), answer("FAILED", ""), question("two"), answer("FAILED", " "), question("three")),
			want(asks("one\n\ntwo\n\nthree"))},
		"a refused question": {
			line(question("one"), completed("1"), question("two"), refusedReply(""), question("three")),
			want(asks("one"), answers("1"), asks("three"))},
		"a refused question with the beginning of a reply": {
			line(question("one"), completed("1"), question("two"), refusedReply("2"), question("three")),
			want(asks("one"), answers("1"), asks("three"))},
		"a refused question that was answered all the same": {
			line(question("one"), refusedReply(""), completed("1"), question("two")),
			want(asks("one"), answers("1"), asks("two"))},
		"a stopped reply": {line(question("one"), answer("STOPPED", "o"), question("two")),
			want(asks("one"), answers("o"), asks("two"))},
		"a reply stopped before its first word": {line(question("one"), answer("STOPPED", ""), question("two")),
			want(asks("one\n\ntwo"))},
		"an interrupted reply": {line(question("one"), answer("INTERRUPTED", "o"), question("two")),
			want(asks("one"), answers("o"), asks("two"))},
		"a model that said nothing": {line(question("one"), completed(""), question("two")), want(asks("one\n\ntwo"))},
		"a model that said white space": {line(question("one"), completed(" \n"), question("two")),
			want(asks("one\n\ntwo"))},
		"white space around words stays": {line(question(" one\n"), completed("\n1 "), question("two")),
			want(asks(" one\n"), answers("\n1 "), asks("two"))},
		"a cancelled pair": {line(question("one"), completed("1"), cancelled("two"), waiting(), question("three")),
			want(asks("one"), answers("1"), asks("three"))},
		"a cancelled pair with a text": {
			line(question("one"), completed("1"), cancelled("two"), answer("STOPPED", "2"), question("three")),
			want(asks("one"), answers("1"), asks("three"))},
		"a reply that runs or waits": {line(question("one"), answer("STREAMING", "o"), question("two"),
			answer("QUEUED", ""), question("three")), want(asks("one\n\ntwo\n\nthree"))},
		"neighbouring replies": {line(question("one"), completed("1"), completed("more"), question("two")),
			want(asks("one"), answers("1\n\nmore"), asks("two"))},
		"replies around a cancelled question": {
			line(question("one"), completed("1"), cancelled("x"), completed("y"), completed("z"), question("two")),
			want(asks("one"), answers("1"), asks("two"))},
		"a reply before any question": {line(system("Be brief."), completed("Welcome."), question("hi")),
			want(first("Be brief."), asks("hi"))},
		"a reply behind the newest question": {line(question("hi"), completed("Hello.")), want(asks("hi"))},
		"only a system prompt":               {line(system("Be brief.")), want(first("Be brief."))},
		"only replies":                       {line(completed("Hello.")), nil},
		"system texts in the middle": {
			line(system("One."), question("hi"), system("Two."), completed("Hello."), question("and?"),
				system("Three.")),
			want(first("One.\n\nTwo.\n\nThree."), asks("hi"), answers("Hello."), asks("and?"))},
		"roles and statuses of a later version": {
			line(question("one"), row("TOOL", "COMPLETED", "x"), answer("WAITING", "y"), row("USER", "DRAFT", "z"),
				question("two")), want(asks("one\n\ntwo"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, heard(prompt.Of(test.line))); diff != "" {
				t.Errorf("prompt (-want +got):\n%s", diff)
			}
		})
	}
}

// A message keeps its own parts, whatever is added to another one.
func TestPartsAreApart(t *testing.T) {
	t.Parallel()
	got := prompt.Of(line(question("one"), completed("1"), question("two"), answer("FAILED", ""), question("three")))
	got[0].Parts = append(got[0].Parts, prompt.Part{Text: "more"})
	if diff := cmp.Diff(want(asks("one\n\nmore"), answers("1"), asks("two\n\nthree")), heard(got)); diff != "" {
		t.Errorf("prompt (-want +got):\n%s", diff)
	}
}

func TestEstimate(t *testing.T) {
	t.Parallel()
	for bytes, tokens := range map[int]int{0: 0, 1: 1, 4: 1, 5: 2, 4000: 1000} {
		if got := prompt.Tokens(bytes); got != tokens {
			t.Errorf("%d bytes: got %d tokens, want %d", bytes, got, tokens)
		}
	}
	if got := prompt.Estimate(nil); got != 0 {
		t.Errorf("got %d tokens of nothing", got)
	}
	// 4 bytes, then 3 and 3 with two line ends between them: 12 bytes in all.
	got := prompt.Estimate(prompt.Of(line(system("äö"), question("one"), answer("FAILED", ""), question("two"))))
	if got != 3 {
		t.Errorf("got %d tokens, want 3 for 12 bytes", got)
	}
}
