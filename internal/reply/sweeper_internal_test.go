package reply

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/ent"
	"parley/ent/message"
)

// Sweeps come at once, then with jitter, and whenever one is asked for; errors end nothing.
func TestSweeperInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		s := newSweeper(&host{log: slog.New(slog.NewTextHandler(&text, nil))}, Config{Lease: time.Minute}, nil, true)
		looks := &timeline{began: time.Now()}
		s.turn = func(context.Context) error {
			looks.note("look")
			s.peers.Store(2)
			return errors.New("no database")
		}
		ctx, cancel := context.WithCancel(t.Context())
		go s.run(ctx)
		synctest.Wait()
		if _, at := looks.noted(); len(at) != 1 || at[0] != 0 {
			t.Fatalf("first looks at %v, want one at once", at)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		_, at := looks.noted()
		for i := range at[1:] {
			if d := at[i+1] - at[i]; d < sweepEvery*3/4 || d > sweepEvery*5/4 {
				t.Errorf("a look after %v, want it about %v", d, sweepEvery)
			}
		}
		s.hurry()
		synctest.Wait()
		if _, after := looks.noted(); len(after) != len(at)+1 {
			t.Errorf("%d looks when asked, want one at once", len(after)-len(at))
		}
		cancel()
		synctest.Wait()
		if got := strings.Count(text.String(), "there is no bus between them"); got != 1 {
			t.Errorf("the missing bus is named %d times, want once", got)
		}
	})
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	cfg := Config{ReplyLimit: time.Minute}
	interrupting := cfg
	interrupting.InterruptOnCrash = true
	const streaming, failed, stopped = message.StatusSTREAMING, message.StatusFAILED, message.StatusSTOPPED
	for name, tt := range map[string]struct {
		cfg      Config
		row      ent.Message
		released bool
		status   message.Status
		code     Code
	}{
		"anew":                 {cfg, ent.Message{Crashes: 1}, false, streaming, ""},
		"the last time":        {cfg, ent.Message{Crashes: maxCrashes}, false, streaming, ""},
		"too many crashes":     {cfg, ent.Message{Crashes: maxCrashes + 1}, false, failed, CodeCrashed},
		"within the limit":     {cfg, ent.Message{StartedAt: ago(time.Minute)}, false, streaming, ""},
		"beyond the limit":     {cfg, ent.Message{StartedAt: ago(time.Hour)}, false, failed, CodeLimit},
		"by policy":            {interrupting, ent.Message{}, false, message.StatusINTERRUPTED, CodeRestarted},
		"policy, but released": {interrupting, ent.Message{}, true, streaming, ""},
		"a stop comes first":   {interrupting, ent.Message{Crashes: 9, StopRequestedAt: &now}, false, stopped, ""},
		"then the crashes":     {cfg, ent.Message{Crashes: 9, StartedAt: ago(time.Hour)}, false, failed, CodeCrashed},
	} {
		status, code := verdict(tt.cfg, &tt.row, tt.released, now)
		got := Code("")
		if code != nil {
			got = Code(*code)
		}
		if status != tt.status || got != tt.code {
			t.Errorf("%s: got %s %q, want %s %q", name, status, got, tt.status, tt.code)
		}
	}
}
