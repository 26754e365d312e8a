package complaint_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/complaint"
)

// What strangers cause is said, but nobody can fill the log with it.
func TestNames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		log := slog.New(slog.NewTextHandler(&text, nil))
		var names complaint.Names
		warned := func(name string) bool {
			before := strings.Count(text.String(), "level=WARN")
			names.Report(t.Context(), log, name, "refused", slog.String("name", name))
			return strings.Count(text.String(), "level=WARN") > before
		}
		if !warned("a") || !strings.Contains(text.String(), "name=a") || warned("a") {
			t.Errorf("a name is not said once: %s", text.String())
		}
		for i := range 1000 {
			if got, want := warned(fmt.Sprint(i)), i < 19; got != want {
				t.Fatalf("name %d is said: %t, want %t", i+2, got, want)
			}
		}
		time.Sleep(10 * time.Minute)
		if !warned("a") || !warned("new") {
			t.Error("after ten minutes a name is not said again")
		}
	})
}
