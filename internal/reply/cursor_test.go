package reply_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"testing"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/store/storetest"
)

// written is a cursor in the form that clients hold.
func written(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestCursorText(t *testing.T) {
	t.Parallel()
	c := reply.Cursor{MessageID: pid.New(pid.Message), Attempt: 3,
		At: reply.Position{reply.Reasoning: 40, reply.Content: 1 << 40}}
	if got, err := reply.ParseCursor(c.String()); err != nil || got != c {
		t.Errorf("got %+v, %v; want %+v", got, err, c)
	}
	// Clients keep cursors over an upgrade: the form is a promise.
	if want := written("r2 " + string(c.MessageID) + " 3 40 1099511627776"); c.String() != want {
		t.Errorf("got %s, want %s", c, want)
	}
	for name, text := range map[string]string{
		"no text":           "",
		"no version":        "r %s 1 0 0",
		"version 0":         "r0 %s 1 0 0",
		"another beginning": "m2 %s 1 0 0",
		"a missing place":   "r2 %s 1 0",
		"a place too many":  "r2 %s 1 0 0 0",
		"a sign":            "r2 %s 1 +2 0",
		"a negative place":  "r2 %s 1 -2 0",
		"a negative try":    "r2 %s -1 0 0",
		"a leading zero":    "r2 %s 1 02 0",
		"two spaces":        "r2 %s  1 0 0",
		"letters":           "r2 %s 1 a 0",
		"an old one's half": "r1 %s",
		"old garbage":       "r1 %s x y z",
		"huge":              "r2 %s 99999999999999999999 0 0",
	} {
		if text != "" {
			text = fmt.Sprintf(text, c.MessageID)
		}
		if got, err := reply.ParseCursor(written(text)); !errors.Is(err, reply.ErrBadCursor) {
			t.Errorf("%s: %+v, %v; want ErrBadCursor", name, got, err)
		}
	}
	for _, id := range []pid.ID{"", "msg_*", pid.New(pid.User)} {
		if got, err := reply.ParseCursor(written("r1 " + string(id) + " 1 0 0")); !errors.Is(err, reply.ErrBadCursor) {
			t.Errorf("of %q: %+v, %v; want ErrBadCursor", id, got, err)
		}
	}
}

// A client that comes back after an upgrade, or is sent to a replica that is not upgraded
// yet, starts over with a snapshot, whatever became of the reply meanwhile.
func TestCursorsOfOtherVersions(t *testing.T) {
	t.Parallel()
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, hang("so far"))
	running := b.start("hi")
	w := b.watch(running.ID, nil)
	until(t, "text arrives", func() bool { return rebuild(t, "", w.seen()) == "so far" })
	waiting := b.queued("next")
	ended := b.ask("before", nil, func(m *ent.MessageCreate) {
		m.SetStatus(message.StatusCOMPLETED).SetContent("whole")
	})
	for _, version := range []string{"r1 %s 1 2 0", "r1 %s 0 0 0", "r1 %s 9 999 9", "r3 %s 1 0 0 0 7"} {
		for id, want := range map[pid.ID]string{running.ID: "so far", waiting.ID: "", ended.ID: "whole"} {
			c, err := reply.ParseCursor(written(fmt.Sprintf(version, id)))
			if err != nil {
				t.Fatalf("%s: %v", version, err)
			}
			v, err := b.engine.Attach(b.ctx, b.user, id, &c)
			if err != nil {
				t.Fatalf("%s: %v", version, err)
			}
			u, ok, err := v.Poll(b.ctx)
			if err != nil || !ok || u.Kind != reply.Snapshot || u.State().Content != want {
				t.Errorf("%s: first comes %+v, %t, %v; want a snapshot with %q", version, u, ok, err, want)
			}
			v.Close()
			_, err = b.engine.Attach(b.ctx, b.user, b.head.ID, &c)
			if id != b.head.ID && !errors.Is(err, reply.ErrBadCursor) {
				t.Errorf("%s of another message: %v, want ErrBadCursor", version, err)
			}
		}
	}
}
