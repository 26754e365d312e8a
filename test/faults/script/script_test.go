package script_test

import (
	"slices"
	"testing"
	"time"

	"parley/test/faults/script"
)

// TestAnswers makes sure that the script is what I12 takes it for: the same for the
// same take, and another for another.
func TestAnswers(t *testing.T) {
	t.Parallel()
	q := script.Question{Key: "a-1", User: "ada", Words: 50, Pace: time.Millisecond}
	if again := q; q.Answer(1) != again.Answer(1) || q.Answer(1) == q.Answer(2) {
		t.Error("an answer must depend on the question and the take alone")
	}
	if got, is := script.Parse("Earlier. " + script.Question{Key: "x"}.String() + "\n\n" + q.String()); !is ||
		got != q {
		t.Errorf("got %+v, want the last question %+v", got, q)
	}
	if got := script.Canaries([]byte(q.Answer(1))); !slices.Equal(got, []string{"ada"}) {
		t.Errorf("got the canaries %v of an answer, want ada's", got)
	}
}
