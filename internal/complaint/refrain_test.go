package complaint_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/complaint"
)

func TestRefrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		log := slog.New(slog.NewTextHandler(&text, nil))
		r := complaint.NewRefrain(time.Minute)
		for range 5 {
			r.Say(t.Context(), log, "one", "refused", "n", 1)
		}
		r.Say(t.Context(), log, "two", "refused")
		time.Sleep(time.Minute)
		r.Say(t.Context(), log, "one", "refused")
		for _, want := range []string{"reason=one not_said_before=0 n=1", "reason=two not_said_before=0",
			"reason=one not_said_before=4"} {
			if strings.Count(text.String(), want) != 1 {
				t.Errorf("the log does not have %q once:\n%s", want, text.String())
			}
		}
		if n := strings.Count(text.String(), "\n"); n != 3 {
			t.Errorf("%d lines, want 3", n)
		}
	})
}
