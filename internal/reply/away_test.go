package reply_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/ent/replica"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

// behind opens a database through a network of its own.
func behind(t *testing.T, cfg store.Config) (*storetest.Proxy, *store.Store) {
	t.Helper()
	proxy, through := storetest.NewProxy(t, cfg)
	s, err := store.Open(t.Context(), through, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return proxy, s
}

// lease returns when the one of e ends; never, where it has none.
func (c *crew) lease(e *reply.Engine) (ends time.Time) {
	c.t.Helper()
	row, err := c.store.Client().Replica.Query().Where(replica.ID(e.ID())).Only(viewer.AsSweep(c.t.Context()))
	switch {
	case ent.IsNotFound(err):
		return time.Time{}
	case err != nil:
		c.t.Fatal(err)
	}
	return row.LeaseExpiresAt
}

// While the database is away from everybody, nobody loses a reply: what runs goes on, and
// whoever is first to see the database again waits for the others.
func TestOutageTakesNoReply(t *testing.T) {
	t.Parallel()
	const length = 3 * time.Second
	for name, fail := range map[string]func(*storetest.Proxy){
		"refused": (*storetest.Proxy).Refuse, "hanging": (*storetest.Proxy).Hang,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := storetest.PostgresConfig(t)
			direct, err := store.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = direct.Close() })
			c := newCrew(t, direct, 0, reply.Config{})
			mine, first := behind(t, cfg)
			others, second := behind(t, cfg)
			up, calls := counting(c.say)
			c.engine = c.add(first, reply.Config{Lease: length}, up)
			other := c.add(second, reply.Config{Lease: length}, say("taken over"))
			c.acquaint(c.all...)
			row := c.start("hi")
			c.speak("one ")
			fail(mine)
			fail(others)
			var over time.Time
			until(t, "the lease is long over", func() bool {
				over = c.lease(c.engine)
				return time.Since(over) > length
			})
			c.speak("two")
			// The other one is back first.
			others.Pass()
			until(t, "the other is back", func() bool { return c.lease(other).After(over.Add(length)) })
			mine.Pass()
			until(t, "both are alive for longer than a lease", func() bool {
				return c.lease(c.engine).After(over.Add(3 * length))
			})
			close(c.say)
			c.goesOn(row, calls)
		})
	}
}

// A replica that alone has lost the database loses its replies when its lease is over, and
// notices when it is back.
func TestCutOffReplicaLosesItsReplies(t *testing.T) {
	t.Parallel()
	const length = 3 * time.Second
	cfg := storetest.PostgresConfig(t)
	proxy, first := behind(t, cfg)
	_, second := behind(t, cfg)
	c := newCrew(t, second, 0, reply.Config{})
	began, ended := make(chan struct{}), make(chan struct{})
	c.engine = c.add(first, reply.Config{Lease: length},
		script(func(ctx context.Context, req reply.Request, out reply.Output) (reply.Result, error) {
			close(began)
			defer close(ended)
			return hang("one")(ctx, req, out)
		}))
	other := c.add(second, reply.Config{Lease: length}, say("taken over"))
	c.acquaint(c.all...)
	row := c.start("hi")
	<-began
	proxy.Refuse()
	if got := c.owner(row.ID, 2); got != other.ID() {
		t.Fatalf("attempt 2 is %s's, want the other's", got)
	}
	select {
	case <-ended:
		t.Error("the first owner has ended, though it cannot know")
	default:
	}
	proxy.Pass()
	select {
	case <-ended:
	case <-time.After(deadline):
		t.Error("the first owner goes on though it could know")
	}
	c.engine = other
	if m := c.wants(row.ID, message.StatusCOMPLETED, "taken over", ""); m.Attempt != 2 {
		t.Errorf("attempt %d, want 2", m.Attempt)
	}
}
