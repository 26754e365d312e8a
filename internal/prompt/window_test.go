package prompt_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"parley/internal/prompt"
)

// history is a line of random ends, and what was asked last.
func history(r *rand.Rand) prompt.Line {
	roles := []string{"USER", "USER", "ASSISTANT", "ASSISTANT", "ASSISTANT", "SYSTEM", "TOOL"}
	statuses := []string{"COMPLETED", "COMPLETED", "COMPLETED", "STOPPED", "FAILED", "INTERRUPTED", "QUEUED",
		"STREAMING", "LATER"}
	rows := line(system([]string{"", "Be brief.", strings.Repeat("rule ", r.IntN(200))}[r.IntN(3)]))
	var last prompt.Last
	for range r.IntN(60) {
		text := []string{"", " \n", fmt.Sprintf("<%d>", len(rows)), strings.Repeat("word ", r.IntN(300))}[r.IntN(4)]
		next := row(roles[r.IntN(len(roles))], statuses[r.IntN(len(statuses))], text)
		next.Index = len(rows)
		if next.Role == prompt.Assistant {
			next.Refused, next.Alone = r.IntN(4) == 0, r.IntN(8) == 0
			if r.IntN(2) == 0 {
				last = prompt.Last{From: 1 + r.IntN(next.Index), Bytes: r.IntN(4000), Count: r.IntN(9),
					Tokens: r.IntN(2000), Cut: []string{"", "m"}[r.IntN(2)]}
			}
		}
		rows = append(rows, next)
	}
	newest := question(strings.Repeat("asked ", 1+r.IntN(50)) + "last")
	newest.Index = len(rows)
	return prompt.Line{Rows: append(rows, newest), Whole: true, Last: last}
}

func randomPlan(r *rand.Rand) prompt.Plan {
	s := prompt.Settings{Policy: append(prompt.Policies(), "")[r.IntN(5)], Turns: 1 + r.IntN(10)}
	p := s.Plan([]int{0, 300, 512, 1000, 4000, 100_000}[r.IntN(6)], []int{0, 0, 100, 5000}[r.IntN(4)])
	p.Model, p.MaxBytes, p.Only = "m", []int{1 << 20, 3000}[r.IntN(2)], r.IntN(10) == 0
	if r.IntN(2) == 0 {
		p.Summary = &prompt.Digest{Reaches: r.IntN(60), Content: "In short: " + strings.Repeat("x", r.IntN(500))}
	}
	if r.IntN(8) == 0 {
		p = p.Less(prompt.Window{Bytes: r.IntN(5000), Tokens: 5000}, []int{0, 600}[r.IntN(2)], 0)
	}
	return p
}

// strict says what the strictest model server would refuse of a prompt, "" when it would not.
func strict(messages []prompt.Message) string {
	for i, m := range messages {
		switch {
		case strings.TrimSpace(m.Text()) == "":
			return "a blank message"
		case m.Role == prompt.System && i > 0:
			return "a system message that is not the first"
		case i > 0 && messages[i-1].Role == m.Role:
			return "two of a role beside one another"
		case m.Role == prompt.Assistant && (i == 0 || messages[i-1].Role != prompt.User):
			return "an answer to nothing"
		}
	}
	if n := len(messages); n == 0 || messages[n-1].Role != prompt.User {
		return "the last is no question"
	}
	return ""
}

// Whatever a line holds and however it is cut: what comes out is a prompt that any server
// takes, with the newest question at its end, whole turns, and within the budget where that is
// possible.
func TestWindows(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(12, 2))
	cut, fitted := 0, 0
	for n := range 30_000 {
		l, p := history(r), randomPlan(r)
		before := slices.Clone(l.Rows)
		w := p.Choose(l)
		problem := strict(w.Messages)
		newest := l.Rows[len(l.Rows)-1]
		switch {
		case problem != "":
		case !strings.HasSuffix(w.Messages[len(w.Messages)-1].Text(), newest.Content):
			problem = "the newest question is not last"
		case !slices.Equal(before, l.Rows):
			problem = "the line has changed"
		case w.From < 1 || l.Rows[w.From].Role != prompt.User || !l.Rows[w.From].IsSent():
			problem = "it begins with no question"
		case !strings.Contains(text(w.Messages), l.Rows[0].Content):
			problem = "message 0 is missing"
		case w.Dropped > 0 && parts(w.Messages)-parts(prompt.Of(l.Rows[:1])) != w.Count+summaries(w):
			problem = "another number of messages is sent"
		case w.Bytes != prompt.Size(w.Messages):
			problem = "its size is wrong"
		case w.Dropped > w.From-1 || w.Dropped < 0:
			problem = "more is left out than there is"
		case p.Only && w.From != newest.Index:
			problem = "not only the newest question is sent"
		case w.Policy == prompt.LastN && questions(l.Rows[w.From:]) > p.Turns:
			problem = "more turns than wanted"
		case w.Summed && w.From <= p.Summary.Reaches && w.From != newest.Index:
			problem = "what is summed up is sent"
		}
		_, fits := p.Fits(len(l.Rows[0].Content)+len(newest.Content)+2, 2)
		if problem == "" && w.Policy != prompt.Full && fits && w.From != newest.Index && p.Budget > 0 &&
			w.Tokens > p.Budget {
			problem = fmt.Sprintf("%d tokens, more than the budget of %d", w.Tokens, p.Budget)
		}
		if problem == "" && w.Policy != prompt.Full && w.From != newest.Index && w.Bytes > p.MaxBytes {
			problem = "more bytes than may be"
		}
		// Rows from the window on, and those before it for the answers: no turn is halved.
		if want := prompt.Of(append(slices.Clone(l.Rows[:1]), l.Rows[w.From:]...)); problem == "" && !w.Summed &&
			w.Dropped > 0 && text(want) != text(w.Messages) {
			problem = "a turn is halved"
		}
		if problem != "" {
			t.Fatalf("history %d: %s\nplan: %+v\nline: %+v\nwindow: %+v", n, problem, p, l, w)
		}
		if w.Dropped > 0 {
			cut++
		} else {
			fitted++
		}
	}
	if cut < 5000 || fitted < 5000 {
		t.Errorf("%d were cut and %d were not, so they prove little", cut, fitted)
	}
}

func text(messages []prompt.Message) string {
	var b strings.Builder
	for _, m := range messages {
		fmt.Fprintf(&b, "%s: %s\n", m.Role, m.Text())
	}
	return b.String()
}

// parts counts the texts of a prompt, and summaries those that are summaries.
func parts(messages []prompt.Message) (n int) {
	for _, m := range messages {
		n += len(m.Parts)
	}
	return n
}

func summaries(w prompt.Window) int {
	if w.Summed {
		return 1
	}
	return 0
}

// questions counts the turns that are sent.
func questions(rows []prompt.Row) (n int) {
	for i, r := range rows {
		if r.Role == prompt.User {
			for _, m := range prompt.Of(rows[i : i+1+replies(rows[i+1:])]) {
				if m.Role == prompt.User {
					n++
				}
			}
		}
	}
	return n
}

// replies is how many rows follow until the next question.
func replies(rows []prompt.Row) int {
	if n := slices.IndexFunc(rows, func(r prompt.Row) bool { return r.Role == prompt.User }); n >= 0 {
		return n
	}
	return len(rows)
}

// What is read in parts gives the same window as the whole line does.
func TestWindowOfAPart(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(12, 3))
	parts := 0
	for n := range 10_000 {
		l, p := history(r), randomPlan(r)
		p.Summary = nil
		if p.Policy == prompt.Full {
			continue // It is read whole.
		}
		whole := p.Choose(l)
		part := prompt.Line{Last: l.Last}
		for k := len(l.Rows) - 1; k > 0; k-- {
			part.Rows = append(slices.Clone(l.Rows[:1]), l.Rows[k:]...)
			part.Whole = k == 1
			if p.Enough(part) {
				break
			}
		}
		if len(part.Rows) < len(l.Rows) {
			parts++
		}
		if got := p.Choose(part); got.From != whole.From || text(got.Messages) != text(whole.Messages) {
			t.Fatalf("history %d: of %d rows of %d it begins at %d, of all at %d\nplan: %+v\nline: %+v", n, len(part.Rows),
				len(l.Rows), got.From, whole.From, p, l)
		}
	}
	if parts < 1000 {
		t.Errorf("only %d were read in part", parts)
	}
}

// A full window keeps its beginning for many turns, for the sake of the model server's cache.
func TestWindowIsSticky(t *testing.T) {
	t.Parallel()
	p := prompt.Settings{}.Plan(8000, 0)
	l := prompt.Line{Rows: line(system("Be brief.")), Whole: true}
	changes, since, least := 0, 0, 1000
	before := 1
	for n := range 400 {
		ask := question(fmt.Sprintf("question %d %s", n, strings.Repeat("x", 400)))
		ask.Index = len(l.Rows)
		l.Rows = append(l.Rows, ask)
		w := p.Choose(l)
		if since++; w.From != before {
			if changes++; changes > 1 {
				least = min(least, since)
			}
			before, since = w.From, 0
		}
		say := completed(strings.Repeat("y", 100+n%7*50))
		say.Index = len(l.Rows)
		l.Rows = append(l.Rows, say)
		l.Last = prompt.Last{From: w.From, Bytes: w.Bytes, Count: w.Count, Tokens: w.Bytes / 4}
	}
	if changes < 5 || least < 12 {
		t.Errorf("the beginning has changed %d times, once after %d turns, want at least 12 between two", changes, least)
	}
	// A regenerated reply and a branch see the same ancestors, and so the same beginning.
	ancestors := prompt.Line{Rows: l.Rows[:len(l.Rows)-1], Whole: true, Last: l.Last}
	if a, b := p.Choose(l).From, p.Choose(ancestors).From; a != b {
		t.Errorf("the window of another reply begins at %d, not at %d", b, a)
	}
	// A model that can read much more is sent more, once.
	large := prompt.Settings{}.Plan(100_000, 0)
	if w := large.Choose(l); w.From >= before {
		t.Errorf("a larger model is sent the line from %d on, no more than the small one", w.From)
	}
}

// The smallest models answer, too.
func TestSmallLimits(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ limit, maxTokens, budget int }{
		{512, 0, 359}, {512, 512, 128}, {512, 100_000, 128}, {8192, 0, 5735}, {131072, 0, 120423}, {1, 0, 1},
		{0, 100, 0},
	} {
		if p := (prompt.Settings{}).Plan(test.limit, test.maxTokens); p.Budget != test.budget {
			t.Errorf("a limit of %d and %d for the reply: a budget of %d, want %d", test.limit, test.maxTokens, p.Budget,
				test.budget)
		}
	}
}

// A limit that is told to be needed is enough, and a smaller one is not.
func TestNeededLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{256, 512, 8192, 131072} {
		for _, maxTokens := range []int{0, 100, 5000} {
			for _, bytes := range []int{2 * limit, 4 * limit, 40 * limit} {
				fits := func(limit int) (int, bool) {
					return prompt.Settings{}.Plan(limit, maxTokens).Fits(bytes, 2)
				}
				needed, ok := fits(limit)
				if ok {
					continue
				}
				if _, ok := fits(needed); !ok || needed <= limit {
					t.Errorf("%d bytes, %d for the reply: %d is not enough", bytes, maxTokens, needed)
				}
				if _, ok := fits(needed - 1); ok { // It would have been told.
					t.Errorf("%d bytes, %d for the reply: %d is too much", bytes, maxTokens, needed)
				}
			}
		}
	}
}

// What was sent less of before is read as far as that goes, and all else of what nobody cuts.
func TestNextRead(t *testing.T) {
	t.Parallel()
	rows := line(system(""), question("new"))
	rows[1].Index = 900
	for _, test := range []struct {
		what string
		plan prompt.Plan
		last prompt.Last
		want int
	}{
		{"all is sent", prompt.Plan{Policy: prompt.Full, Model: "a/b"}, prompt.Last{From: 300}, prompt.All},
		{"cut near", prompt.Plan{Policy: prompt.Full, Model: "a/b"}, prompt.Last{From: 890, Cut: "a b"}, prompt.Few},
		{"cut far", prompt.Plan{Policy: prompt.Full, Model: "a/b"}, prompt.Last{From: 300, Cut: "a b"}, prompt.Many},
		{"of another", prompt.Plan{Policy: prompt.Full, Model: "c"}, prompt.Last{From: 300, Cut: "a b"}, prompt.All},
		{"cut here", prompt.Plan{Policy: prompt.Full, Model: "a/b"}, prompt.Last{From: 900, Cut: "a b"}, prompt.All},
		{"a window", prompt.Plan{Policy: prompt.Truncate}, prompt.Last{}, prompt.Few},
	} {
		if got := test.plan.Next(prompt.Line{Rows: rows, Last: test.last}); got != test.want {
			t.Errorf("%s: reads %d, want %d", test.what, got, test.want)
		}
	}
}

// What the model server refuses is left out: the question that is to blame, or all that was there
// before one that was answered without it.
func TestDistrust(t *testing.T) {
	t.Parallel()
	alone := func(r prompt.Row) prompt.Row {
		r.Alone = true
		return r
	}
	yes, no := completed("yes"), refusedReply("")
	for _, test := range []struct {
		what    string
		replies []prompt.Row
		from    int
		doubted bool
	}{
		{"all answered", []prompt.Row{yes, yes, yes}, 1, false},
		{"one refused", []prompt.Row{yes, yes, no}, 1, true},
		{"one refused and answered since", []prompt.Row{yes, no, yes}, 1, false},
		{"two refused with what is before them", []prompt.Row{yes, no, no}, 7, true},
		{"refused even alone", []prompt.Row{yes, no, alone(no)}, 1, true},
		{"answered alone", []prompt.Row{yes, no, alone(yes)}, 5, false},
		{"answered alone, for it was long", []prompt.Row{yes, yes, alone(yes)}, 1, false},
	} {
		var rows []prompt.Row
		for _, r := range append([]prompt.Row{{}}, test.replies...) {
			if rows == nil {
				r = system("Be brief.")
			} else {
				rows = append(rows, question("why?"))
			}
			rows = append(rows, r)
		}
		rows = append(rows, question("newest"))
		for i := range rows {
			rows[i].Index = i
		}
		w := prompt.Settings{}.Plan(0, 0).Choose(prompt.Line{Rows: rows, Whole: true})
		if w.From != test.from || w.Doubted != test.doubted || w.Alone != (test.from == 7) {
			t.Errorf("%s: sent from %d, doubted: %t, alone: %t; want %d, %t", test.what, w.From, w.Doubted, w.Alone,
				test.from, test.doubted)
		}
	}
}
