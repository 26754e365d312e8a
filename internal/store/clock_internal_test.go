package store

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2031, 5, 4, 12, 0, 0, 0, time.UTC)

// A database's clock is known as well as its answers were quick, and a slow answer moves
// nothing that it does not contradict.
func TestClockObserves(t *testing.T) {
	t.Parallel()
	moment := noon
	c := &clock{own: func() time.Time { return moment }}
	after := func(d time.Duration) time.Time { return noon.Add(d) }
	want := func(what string, skew time.Duration) {
		t.Helper()
		if got := c.skew(); got != skew {
			t.Errorf("%s: this machine is ahead by %v, want %v", what, got, skew)
		}
		if got, want := c.now(), moment.Add(-skew); !got.Equal(want) {
			t.Errorf("%s: the database's clock says %v, want %v", what, got, want)
		}
	}
	want("nothing is known", 0)
	c.observe(after(0), after(2*time.Second), after(41*time.Second))
	want("a first answer counts from the middle", -40*time.Second)
	c.observe(after(time.Second), after(2*time.Second), after(41*time.Second+600*time.Millisecond))
	want("an answer that may mean the same", -40*time.Second)
	c.observe(after(time.Second), after(time.Second+time.Millisecond), after(41*time.Second+300*time.Millisecond))
	want("a quick answer", -40*time.Second-299500*time.Microsecond)
	moment = noon.Add(time.Hour)
	want("an hour later", -40*time.Second-299500*time.Microsecond)
	c.observe(moment, moment, moment.Add(-20*time.Second))
	want("the database's clock was set", 20*time.Second)
}

// The log says once how bad it is, and once that it is good again.
func TestClockReports(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	log := slog.New(slog.NewTextHandler(&text, nil))
	c := &clock{own: func() time.Time { return noon }}
	for _, step := range []struct {
		ahead time.Duration
		says  string
	}{
		{0, ""}, {4 * time.Second, ""}, {-5 * time.Second, "ahead=-5s"}, {-6 * time.Second, ""},
		{2 * time.Minute, ""}, {121 * time.Second, "ahead=2m1s"}, {time.Hour, ""}, {time.Minute, "ahead=1m0s"},
		{0, "agrees"}, {0, ""},
	} {
		c.observe(noon, noon, noon.Add(-step.ahead))
		text.Reset()
		c.report(t.Context(), log)
		got := text.String()
		if (got != "") != (step.says != "") || !strings.Contains(got, step.says) {
			t.Errorf("%v ahead: the log says %q, want %q in it", step.ahead, got, step.says)
		}
		const here = "here=2031-05-04T12:00:00.000Z"
		if got != "" && (!strings.Contains(got, here) || !strings.Contains(got, "database=")) {
			t.Errorf("%v ahead: the log says %q, without both clocks", step.ahead, got)
		}
	}
}
