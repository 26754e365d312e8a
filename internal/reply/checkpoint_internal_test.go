package reply

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
)

// A reply that has just begun is left to the next turn: most short ones have ended by then, and
// cost no write but the last.
func TestYoungRepliesWaitForTheNextCheckpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stored := &checkpoints{stored: make(map[pid.ID][]time.Duration), began: time.Now()}
		h := &host{store: stored, meters: newMeters(nil, nil), log: slog.New(slog.DiscardHandler)}
		s := &saver{host: h, every: time.Second, attempts: newAttempts(), lag: newLag(time.Minute),
			lost: func(context.Context, []pid.ID) {}}
		begin := func(id pid.ID) *Attempt {
			row := &ent.Message{ID: id, Attempt: 1, Status: message.StatusSTREAMING}
			a := &Attempt{row: row, live: newLive(row, maxTestBytes), made: time.Now()}
			if err := s.attempts.add(a, func() error { return nil }); err != nil {
				t.Fatal(err)
			}
			if err := a.live.Append(Content, "text"); err != nil {
				t.Fatal(err)
			}
			return a
		}
		ctx, cancel := context.WithCancel(t.Context())
		go s.run(ctx)
		begin("old")
		time.Sleep(700 * time.Millisecond)
		begin("young")
		short := begin("short")
		time.Sleep(400 * time.Millisecond)
		short.live.finish(&ent.Message{ID: "short", Status: message.StatusCOMPLETED})
		time.Sleep(2 * time.Second)
		cancel()
		synctest.Wait()
		want := map[pid.ID][]time.Duration{"old": {time.Second}, "young": {2 * time.Second}, "short": nil}
		for id, want := range want {
			if got := stored.stored[id]; !slices.Equal(got, want) {
				t.Errorf("%s was stored after %v, want %v", id, got, want)
			}
		}
	})
}

// checkpoints is a store that notes when replies were stored.
type checkpoints struct {
	Store
	began  time.Time
	stored map[pid.ID][]time.Duration
}

// Checkpoint implements Store.
func (c *checkpoints) Checkpoint(_ context.Context, _ pid.ID, due []Checkpoint) ([]pid.ID, error) {
	for _, d := range due {
		c.stored[d.MessageID] = append(c.stored[d.MessageID], time.Since(c.began).Round(time.Millisecond))
	}
	return nil, nil
}
