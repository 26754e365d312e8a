package prompt_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"parley/internal/prompt"
)

// story is a line of random roles, statuses and texts, also such as Parley never
// stores, and what must come of it.
type story struct {
	line []prompt.Row
	// system, then questions and answers in order: each text that must be sent.
	system, sent []string
	// hidden must not be sent.
	hidden []string
}

// text makes one that no other in the story is like, so that it is found or missed for itself.
func (s *story) text(r *rand.Rand) string {
	mark := fmt.Sprintf("<%d>", len(s.line))
	switch r.IntN(8) {
	case 0:
		return ""
	case 1:
		return []string{" ", "\n\n", "\t\u2003"}[r.IntN(3)]
	case 2:
		return " " + mark + "\n\nmore\n"
	case 3:
		return strings.Repeat("ä𝄞 ", r.IntN(40)) + mark
	}
	return mark
}

func newStory(r *rand.Rand) *story {
	s := &story{}
	roles := []string{"SYSTEM", "USER", "USER", "USER", "ASSISTANT", "ASSISTANT", "ASSISTANT", "TOOL"}
	statuses := []string{"COMPLETED", "COMPLETED", "COMPLETED", "COMPLETED", "COMPLETED", "STOPPED", "FAILED",
		"INTERRUPTED", "QUEUED", "STREAMING", "WAITING"}
	var behind []string // answers behind the newest question
	asked, cancelled := false, false
	for range r.IntN(50) {
		role, status, text := roles[r.IntN(len(roles))], statuses[r.IntN(len(statuses))], s.text(r)
		s.line = append(s.line, row(role, status, text))
		blank := strings.TrimSpace(text) == ""
		hide := true
		switch {
		case role == "SYSTEM":
			hide = false
			if !blank {
				s.system = append(s.system, text)
			}
		case role == "USER":
			cancelled = status != "COMPLETED"
			hide = cancelled
			if !hide && !blank {
				s.sent = append(append(s.sent, behind...), text)
				behind, asked = nil, true
			}
		case role == "ASSISTANT" && asked && !cancelled && !blank:
			switch status {
			case "COMPLETED", "STOPPED", "INTERRUPTED", "FAILED":
				hide = false
				behind = append(behind, text)
			}
		}
		if hide && !blank {
			s.hidden = append(s.hidden, text)
		}
	}
	s.hidden = append(s.hidden, behind...)
	return s
}

func TestStories(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(6, 1))
	full := 0
	for n := range 20_000 {
		s := newStory(r)
		before := append([]prompt.Row(nil), s.line...)
		got := prompt.Of(s.line)
		if problem := s.problem(got); problem != "" {
			t.Fatalf("story %d: %s\nline: %+v\nprompt: %q", n, problem, s.line, heard(got))
		}
		if again := prompt.Of(s.line); !reflect.DeepEqual(got, again) || !reflect.DeepEqual(before, s.line) {
			t.Fatalf("story %d: the second time it is %q after %q, or the line has changed", n, again, got)
		}
		if len(got) >= 5 {
			full++
		}
	}
	if full < 1000 {
		t.Errorf("only %d stories came to 5 messages, so they prove little", full)
	}
}

// problem says what is wrong with the prompt of a story: what the strictest server
// refuses, and texts that are lost, out of order, or not to be told.
func (s *story) problem(got []prompt.Message) string {
	var all, turns strings.Builder
	for i, m := range got {
		text := m.Text()
		switch {
		case strings.TrimSpace(text) == "":
			return "a blank message"
		case m.Role == prompt.System && i > 0:
			return "a system message that is not the first"
		case i > 0 && got[i-1].Role == m.Role:
			return "two of a role beside one another"
		case m.Role == prompt.Assistant && (i == 0 || got[i-1].Role != prompt.User):
			return "an answer to nothing"
		case i == len(got)-1 && m.Role == prompt.Assistant:
			return "the last is an answer"
		}
		all.WriteString("\n\n" + text)
		if m.Role != prompt.System {
			turns.WriteString("\n\n" + text)
		}
	}
	// One joint between any two texts, be they of one message or not: so all that must
	// be there is, in order, and nothing else.
	want := ""
	for _, text := range s.sent {
		want += "\n\n" + text
	}
	if turns.String() != want {
		return fmt.Sprintf("questions and answers differ, want %q", want)
	}
	want = ""
	for _, text := range append(append([]string(nil), s.system...), s.sent...) {
		want += "\n\n" + text
	}
	if all.String() != want {
		return fmt.Sprintf("texts differ, want %q", want)
	}
	for _, text := range s.hidden {
		if strings.Contains(all.String(), text) {
			return fmt.Sprintf("%q is told", text)
		}
	}
	if len(s.sent) > 0 && !strings.HasSuffix(got[len(got)-1].Text(), s.sent[len(s.sent)-1]) {
		return "the newest question is not last"
	}
	size := 0
	for _, m := range got {
		size += len(m.Text())
	}
	if n := prompt.Estimate(got); n != prompt.Tokens(size) {
		return fmt.Sprintf("estimated at %d tokens, want those of %d bytes", n, size)
	}
	return ""
}

// BenchmarkOf makes the prompt of a long line.
func BenchmarkOf(b *testing.B) {
	rows := line(system("Be brief."))
	for i := range 2500 {
		rows = append(rows, question(fmt.Sprint("question ", i)), completed(fmt.Sprint("answer ", i)))
	}
	rows = append(rows, question("the last"))
	b.ReportAllocs()
	for b.Loop() {
		if got := prompt.Of(rows); len(got) != 5002 {
			b.Fatalf("got %d messages", len(got))
		}
	}
}
