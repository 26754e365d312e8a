package reply_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/bus"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/reply/replytest"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

// crew is several replicas on one database and one bus, whose model says what comes over a
// channel.
type crew struct {
	*bundle
	say   chan string
	calls *atomic.Int32
	all   []*reply.Engine
}

func newCrew(t *testing.T, s *store.Store, n int, cfg reply.Config) *crew {
	t.Helper()
	c := &crew{say: make(chan string)}
	var up script
	up, c.calls = counting(c.say)
	c.bundle = newBundle(t, s, reply.Config{}, up)
	stopNow(c.engine)
	c.bus = bus.NewLocal()
	for range n {
		c.add(s, cfg, up)
	}
	return c
}

// add starts one more.
func (c *crew) add(s reply.Store, cfg reply.Config, up reply.Upstream) *reply.Engine {
	c.t.Helper()
	e := reply.New(replytest.Config(cfg), s, up, c.bus, nil, slog.New(slog.DiscardHandler))
	if err := e.Start(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { stopNow(e) })
	c.all = append(c.all, e)
	return e
}

// speak has the model say something.
func (c *crew) speak(text string) {
	c.t.Helper()
	select {
	case c.say <- text:
	case <-time.After(deadline):
		c.t.Fatalf("nobody hears the model say %q", text)
	}
}

// acquaint waits until everybody has seen all others.
func (c *crew) acquaint(engines ...*reply.Engine) {
	c.t.Helper()
	until(c.t, "they know of each other", func() bool {
		for _, e := range engines {
			if e.Peers() != len(engines)-1 {
				return false
			}
		}
		return true
	})
}

// owner waits until a reply is in a later attempt than before, and returns whose it is.
func (c *crew) owner(id pid.ID, attempt int) pid.ID {
	c.t.Helper()
	var row *ent.Message
	until(c.t, fmt.Sprintf("attempt %d begins", attempt), func() bool {
		row = c.row(id)
		return row.Attempt >= attempt && row.Owner != nil
	})
	if row.Attempt != attempt {
		c.t.Fatalf("attempt %d, want %d", row.Attempt, attempt)
	}
	return *row.Owner
}

// Three replicas that are restarted one after the other pay for a long reply once more, not
// three times: the first that is new keeps it.
func TestRollingRestartPaysOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		cfg := reply.Config{}
		c := newCrew(t, s, 3, cfg)
		c.acquaint(c.all...)
		c.engine = c.all[0]
		row := c.start("hi")
		c.speak("one ")
		up := script(func(ctx context.Context, req reply.Request, out reply.Output) (reply.Result, error) {
			c.calls.Add(1)
			return pieces(c.say)(ctx, req, out)
		})
		var fresh *reply.Engine
		for n := range 3 {
			c.all[n].Drain()
			stopNow(c.all[n])
			e := c.add(s, cfg, up)
			if n == 0 {
				fresh = e
			}
			if got := c.owner(row.ID, 2); got != fresh.ID() {
				t.Fatalf("after %d restarts it is %s that runs it, want %s, the first that is new", n+1, got,
					fresh.ID())
			}
			c.acquaint(c.all[n+1:]...)
		}
		c.engine = fresh
		c.speak("one two")
		close(c.say)
		m := c.wants(row.ID, message.StatusCOMPLETED, "one two", "")
		if m.Attempt != 2 || m.Crashes != 0 || c.calls.Load() != 2 {
			t.Errorf("attempt %d after %d crashes and %d calls of the model, want 2, none and 2", m.Attempt, m.Crashes,
				c.calls.Load())
		}
	})
}

// Where nobody new comes, the youngest takes what was released, after a moment.
func TestReleasedReplyGoesToTheYoungest(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		c := newCrew(t, s, 3, reply.Config{Lease: 3 * time.Second})
		c.acquaint(c.all...)
		c.engine = c.all[0]
		row := c.start("hi")
		c.speak("one ")
		stopNow(c.all[0])
		if got := c.owner(row.ID, 2); got != c.all[2].ID() {
			t.Errorf("%s takes it, want %s, which began last", got, c.all[2].ID())
		}
	})
}

// A replica that drains takes nothing over, and gives what waits to others.
func TestDrainingTakesNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		sweeps := &countedSweeps{Store: s}
		c := newCrew(t, s, 0, reply.Config{})
		up, _ := counting(c.say)
		cfg := reply.Config{Lease: 3 * time.Second}
		draining := c.add(sweeps, cfg, up)
		c.engine = draining
		row := c.start("hi")
		c.speak("one")
		draining.Drain()
		conv, head := c.conv, c.head
		abandoned := c.askElsewhere("left", dead())
		before := sweeps.n.Load()
		until(t, "it has swept", func() bool { return sweeps.n.Load() >= before+3 })
		if m := c.row(abandoned.ID); m.Attempt != 1 {
			t.Errorf("attempt %d: a draining replica has taken it", m.Attempt)
		}
		other := c.add(s, cfg, say("there"))
		c.acquaint(c.all...)
		c.wants(abandoned.ID, message.StatusCOMPLETED, "there", "")
		c.conv, c.head = conv, head
		next := c.queued("two")
		close(c.say)
		if m := c.wants(next.ID, message.StatusCOMPLETED, "there", ""); *m.Owner != other.ID() || m.Attempt != 1 {
			t.Errorf("attempt %d of %s, want the first, of the other replica", m.Attempt, *m.Owner)
		}
		if m := c.row(row.ID); *m.Owner != draining.ID() || m.Attempt != 1 {
			t.Errorf("what runs on the draining replica became attempt %d of %s", m.Attempt, *m.Owner)
		}
	})
}

// countedSweeps counts the looks at the database's clock, one for each sweep.
type countedSweeps struct {
	*store.Store
	n atomic.Int32
}

func (s *countedSweeps) Now(ctx context.Context) (time.Time, error) {
	s.n.Add(1)
	return s.Store.Now(ctx)
}

// askElsewhere is ask in a conversation of its own, which is the bundle's from then on.
func (b *bundle) askElsewhere(question string, owner *pid.ID) *ent.Message {
	b.t.Helper()
	root := pid.New(pid.Message)
	b.conv = b.store.Client().Conversation.Create().SetUserID(b.user).SetHeadID(root).SaveX(b.ctx).ID
	b.head = b.store.Client().Message.Create().SetID(root).SetConversationID(b.conv).SetUserID(b.user).
		SetIndex(0).SetRole(message.RoleSYSTEM).SaveX(b.ctx)
	return b.ask(question, owner)
}

// clockAhead is a database whose clock has jumped, before the eyes of one that looks for
// dead replicas.
type clockAhead struct{ countedSweeps }

func (s *clockAhead) Now(ctx context.Context) (time.Time, error) {
	now, err := s.countedSweeps.Now(ctx)
	return now.Add(20 * time.Second), err
}

// However far the clock has jumped, a replica that renews its lease keeps its replies.
func TestClockJumpTakesNoReply(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		const length = 5 * time.Second
		c := newCrew(t, s, 1, reply.Config{Lease: length})
		c.engine = c.all[0]
		row := c.start("hi")
		c.speak("one ")
		ahead := &clockAhead{countedSweeps{Store: s}}
		c.add(ahead, reply.Config{Lease: length}, say("the other"))
		began := time.Now()
		until(t, "it has looked for longer than a lease", func() bool {
			return ahead.n.Load() > 5 && time.Since(began) > length*3/2
		})
		c.speak("two")
		close(c.say)
		c.goesOn(row, c.calls)
	})
}

// An owner that renews its lease in the moment in which it is claimed from keeps its reply,
// whatever the clock says.
func TestClaimLooksOnceMore(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		const length = 2 * time.Second
		c := newCrew(t, s, 0, reply.Config{})
		sweep := viewer.AsSweep(t.Context())
		other := *dead()
		s.Client().Replica.Create().SetID(other).SetLeaseExpiresAt(time.Now()).ExecX(sweep)
		row := c.ask("hi", &other)
		var found atomic.Int32
		s.Client().Message.Intercept(ent.InterceptFunc(func(next ent.Querier) ent.Querier {
			return ent.QuerierFunc(func(ctx context.Context, q ent.Query) (ent.Value, error) {
				v, err := next.Query(ctx, q)
				who, _ := viewer.From(ctx)
				if _, isUser := who.User(); isUser {
					return v, err
				}
				rows, _ := v.([]*ent.Message)
				if len(rows) == 1 && rows[0].ID == row.ID {
					found.Add(1)
					s.Client().Replica.UpdateOneID(other).SetLeaseExpiresAt(time.Now().Add(length)).ExecX(sweep)
				}
				return v, err
			})
		}))
		c.add(&clockAhead{countedSweeps{Store: s}}, reply.Config{Lease: length}, say("taken"))
		until(t, "it was to be claimed", func() bool { return found.Load() >= 2 })
		if m := c.row(row.ID); m.Attempt != 1 || *m.Owner != other {
			t.Errorf("attempt %d is %s's, want it left to its owner", m.Attempt, *m.Owner)
		}
	})
}
