package faulttest

import (
	"slices"
	"testing"
	"time"
)

// TestAnswers makes sure that the script is what I12 takes it for: the same for the
// same take, and another for another.
func TestAnswers(t *testing.T) {
	t.Parallel()
	q := question{Key: "a-1", User: "ada", Words: 50, Pace: time.Millisecond}
	if again := q; q.answer(1) != again.answer(1) || q.answer(1) == q.answer(2) {
		t.Error("an answer must depend on the question and the take alone")
	}
	if got, is := parseQuestion("Earlier. " + question{Key: "x"}.String() + "\n\n" + q.String()); !is || got != q {
		t.Errorf("got %+v, want the last question %+v", got, q)
	}
	if got := canariesIn([]byte(q.answer(1))); !slices.Equal(got, []string{"ada"}) {
		t.Errorf("got the canaries %v of an answer, want ada's", got)
	}
}
