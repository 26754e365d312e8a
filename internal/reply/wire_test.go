package reply_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"parley/ent/message"
	"parley/internal/bus"
	"parley/internal/bus/bustest"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/reply/replytest"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/viewer"
)

// countedWire counts what a replica sends.
type countedWire struct {
	reply.Wire
	sent atomic.Int64
}

func (w *countedWire) Send(p reply.Piece) {
	w.sent.Add(1)
	w.Wire.Send(p)
}

// node is one replica of several on a database and a NATS server.
type node struct {
	*bundle
	wire *countedWire
}

// nodes makes n replicas. Their replies are never checkpointed unless cfg says so, so
// that what another replica shows came over the wire.
func nodes(t *testing.T, s reply.Store, srv *server.Server, n int, cfg reply.Config, up reply.Upstream) []*node {
	t.Helper()
	if cfg.Checkpoint == 0 {
		cfg.Checkpoint = time.Hour
	}
	db, ok := s.(*store.Store)
	if !ok {
		db = s.(*optionalCheckpoints).Store
	}
	first := newBundle(t, db, reply.Config{}, silent)
	stopNow(first.engine)
	all := make([]*node, n)
	for i := range all {
		nats, err := bus.Connect(t.Context(),
			bus.Config{URL: srv.ClientURL(), Namespace: "test", Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nats.Close)
		b := *first
		b.bus = nats
		all[i] = &node{&b, &countedWire{Wire: nats}}
		b.engine = reply.New(replytest.Config(cfg), s, up, nats, all[i].wire, slog.New(slog.DiscardHandler))
		all[i].engine = b.engine
		if err := b.engine.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stopNow(b.engine) })
	}
	return all
}

// silent is the model of engines that write nothing.
var silent = say("unused")

// Viewers on other replicas see the text as it is written, and the same end.
func TestViewersOnOtherReplicas(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ch := make(chan string)
		all := nodes(t, s, bustest.Start(t), 3, reply.Config{}, pieces(ch))
		row := all[0].start("hi")
		ch <- "before anybody looks "
		want := "before anybody looks "
		var watches []*watch
		for i := range 30 {
			if i%5 == 0 {
				watches = append(watches, all[i/5%3].watch(row.ID, nil))
			}
			p := strings.Repeat("é😀", i%4) + "x"
			ch <- p
			want += p
			if i%7 == 0 { // All have it before more is written: it did not wait for the row.
				until(t, "all see the text so far", func() bool {
					for _, w := range watches {
						if rebuild(t, "", w.seen()) != want {
							return false
						}
					}
					return true
				})
			}
		}
		close(ch)
		all[0].wants(row.ID, message.StatusCOMPLETED, want, "")
		for i, w := range watches {
			updates := w.wait(t)
			if got := rebuild(t, "", updates); got != want {
				t.Errorf("viewer %d ends with %q, want %q", i, got, want)
			}
			if last := updates[len(updates)-1]; last.Kind != reply.Finished ||
				last.State().Status != message.StatusCOMPLETED {
				t.Errorf("viewer %d: last comes %+v", i, last)
			}
		}
		// A wait there ends too, and a query shows the end.
		if m, err := all[2].engine.Wait(all[2].ctx, all[2].user, row.ID, deadline); err != nil || m.Content != want {
			t.Errorf("got %v, %v", m, err)
		}
	})
}

// Reconnecting at any moment, to any replica, with any cursor gives neither gap nor
// repeat.
func TestResumeOnAnyReplica(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for seed := range uint64(3) {
			r := rand.New(rand.NewPCG(seed, 7))
			ch := make(chan string)
			all := nodes(t, s, bustest.Start(t), 3, reply.Config{Checkpoint: 20 * time.Millisecond}, pieces(ch))
			row := all[0].start("hi")
			var written strings.Builder
			var viewers sync.WaitGroup
			for range 4 {
				moves := rand.New(rand.NewPCG(r.Uint64(), 1))
				viewers.Go(func() {
					held, done := "", false
					var cursor *reply.Cursor
					for !done {
						held, cursor, done = reconnect(t, all[moves.IntN(3)].bundle, row.ID, moves, held, cursor)
					}
					if m := all[0].row(row.ID); m.Content != held {
						t.Errorf("seed %d: a viewer ends with %q, stored is %q", seed, held, m.Content)
					}
				})
			}
			for range 60 {
				p := []string{"a", "é", "日本", "😀", "word ", "\n"}[r.IntN(6)]
				ch <- p
				written.WriteString(p)
			}
			close(ch)
			all[0].wants(row.ID, message.StatusCOMPLETED, written.String(), "")
			viewers.Wait()
		}
	})
}

// Viewers where the reply runs cost nothing on the wire.
func TestLocalViewersSendNothing(t *testing.T) {
	t.Parallel()
	ch := make(chan string)
	all := nodes(t, storetest.SQLite(t), bustest.Start(t), 2, reply.Config{}, pieces(ch))
	row := all[0].start("hi")
	local := all[0].watch(row.ID, nil)
	for range 20 {
		ch <- "x"
	}
	until(t, "the viewer has it", func() bool { return len(rebuild(t, "", local.seen())) == 20 })
	if n := all[0].wire.sent.Load(); n != 0 {
		t.Errorf("%d pieces were sent to nobody", n)
	}
	remote := all[1].watch(row.ID, nil)
	ch <- "y"
	until(t, "the other viewer has it", func() bool { return strings.HasSuffix(rebuild(t, "", remote.seen()), "y") })
	until(t, "something is sent now that somebody has asked", func() bool {
		ch <- "z"
		return all[0].wire.sent.Load() > 0
	})
	close(ch)
	remote.wait(t)
}

// Without NATS viewers elsewhere follow the row, and with it again the text itself.
func TestNATSGoesAndComes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		srv := bustest.Start(t)
		port := srv.Addr().(*net.TCPAddr).Port
		var stored atomic.Bool // Whether running text is stored: without it, text comes over the wire.
		ch := make(chan string)
		all := nodes(t, &optionalCheckpoints{s, &stored}, srv, 2, reply.Config{Checkpoint: 20 * time.Millisecond},
			pieces(ch))
		row := all[0].start("hi")
		w := all[1].watch(row.ID, nil)
		sees := func(want string) {
			t.Helper()
			until(t, "the text arrives: "+want, func() bool { return rebuild(t, "", w.seen()) == want })
		}
		ch <- "with "
		sees("with ")
		bustest.Stop(srv)
		stored.Store(true)
		ch <- "without "
		sees("with without ")
		stored.Store(false)
		bustest.Start(t, func(o *server.Options) { o.Port = port })
		ch <- "with again "
		sees("with without with again ")
		// A stop from there reaches the owner too.
		if err := all[1].engine.RequestStop(all[1].ctx, all[1].user, row.ID); err != nil {
			t.Fatal(err)
		}
		updates := w.wait(t)
		if last := updates[len(updates)-1]; last.Kind != reply.Finished ||
			last.State().Status != message.StatusSTOPPED || last.State().Content != "with without with again " {
			t.Errorf("last comes %+v", last)
		}
	})
}

// optionalCheckpoints is a database that stores running text only while it is told to.
type optionalCheckpoints struct {
	*store.Store
	on *atomic.Bool
}

func (s *optionalCheckpoints) Checkpoint(ctx context.Context, owner pid.ID, due []reply.Checkpoint) ([]pid.ID, error) {
	if !s.on.Load() {
		return nil, errBroken
	}
	return s.Store.Checkpoint(ctx, owner, due)
}

// A reply that is deleted elsewhere ends for viewers everywhere, with its text.
func TestDeletedElsewhere(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		all := nodes(t, s, bustest.Start(t), 3, reply.Config{}, hang("so far"))
		row := all[0].start("hi")
		var watches []*watch
		for _, n := range all {
			watches = append(watches, n.watch(row.ID, nil))
		}
		for _, w := range watches {
			until(t, "the text arrives", func() bool { return rebuild(t, "", w.seen()) == "so far" })
		}
		all[1].deleteConversation()
		for i, w := range watches {
			updates := w.wait(t)
			last := updates[len(updates)-1].State()
			if last.Status != message.StatusSTOPPED || last.Content != "so far" || last.ErrorCode == nil ||
				reply.Code(*last.ErrorCode) != reply.CodeDeleted {
				t.Errorf("viewer %d: last comes %+v", i, last)
			}
		}
	})
}

// A takeover is seen on a third replica as a new attempt, from its beginning.
func TestTakeoverSeenElsewhere(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var runs atomic.Int32
		up := script(func(ctx context.Context, req reply.Request, out reply.Output) (reply.Result, error) {
			if runs.Add(1) == 1 {
				return hang("the first attempt says this")(ctx, req, out)
			}
			return say("the second that")(ctx, req, out)
		})
		all := nodes(t, s, bustest.Start(t), 3, reply.Config{Lease: time.Minute}, up)
		row := all[0].start("hi")
		w := all[2].watch(row.ID, nil)
		until(t, "the text arrives", func() bool { return strings.HasSuffix(rebuild(t, "", w.seen()), "says this") })
		stopNow(all[0].engine) // Releases it: another one takes it up, without waiting for the lease.
		updates := w.wait(t)
		if got := rebuild(t, "", updates); got != "the second that" {
			t.Errorf("ends with %q", got)
		}
		attempt, snapshots := 0, 0
		for _, u := range updates {
			if u.State().Attempt < attempt {
				t.Errorf("attempt %d after %d", u.State().Attempt, attempt)
			}
			if attempt = u.State().Attempt; u.Kind == reply.Snapshot {
				snapshots++
			}
		}
		if attempt != 2 || snapshots != 2 {
			t.Errorf("ends with attempt %d after %d snapshots, want 2 and 2", attempt, snapshots)
		}
	})
}

// oddWire answers what an owner would not.
type oddWire struct {
	answer func(q reply.Question) (reply.Piece, error)
	asked  atomic.Int64
}

func (w *oddWire) Serve(pid.ID, func(reply.Question) (reply.Piece, error)) (stop func()) {
	return func() {}
}

func (w *oddWire) Ask(_ context.Context, _ pid.ID, q reply.Question) (reply.Piece, error) {
	w.asked.Add(1)
	return w.answer(q)
}

func (w *oddWire) Send(reply.Piece) {}

func (w *oddWire) Follow(pid.ID) reply.Pieces { return nothing{} }

type nothing struct{}

func (nothing) Arrived() <-chan reply.Piece { return nil }
func (nothing) Close()                      {}

// Whatever the owner answers, the row has the last word.
func TestOddAnswers(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(q reply.Question) (reply.Piece, error){
		"none":            func(reply.Question) (reply.Piece, error) { return reply.Piece{}, reply.ErrNoAnswer },
		"it does not run": func(reply.Question) (reply.Piece, error) { return reply.Piece{}, reply.ErrNotRunning },
		"more, and no text": func(reply.Question) (reply.Piece, error) {
			return reply.Piece{Attempt: 1, End: reply.Position{reply.Content: 1000}}, nil
		},
		"a later attempt": func(reply.Question) (reply.Piece, error) {
			return reply.Piece{Attempt: 7, Texts: reply.Texts{reply.Content: "no"}}, nil
		},
		"an earlier attempt": func(reply.Question) (reply.Piece, error) {
			return reply.Piece{Texts: reply.Texts{reply.Content: "no"}}, nil
		},
		"text far behind a gap": func(reply.Question) (reply.Piece, error) {
			far := reply.Position{reply.Content: 500}
			return reply.Piece{Attempt: 1, From: far, Texts: reply.Texts{reply.Content: "no"}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := storetest.SQLite(t)
			b := newBundle(t, s, reply.Config{}, silent)
			owner := dead()
			sweep := viewer.AsSweep(t.Context())
			s.Client().Replica.Create().SetID(*owner).SetLeaseExpiresAt(time.Now().Add(time.Hour)).ExecX(sweep)
			row := b.ask("hi", owner)
			wire := &oddWire{answer: answer}
			stopNow(b.engine)
			b.engine = reply.New(replytest.Config(reply.Config{}), s, silent, b.bus, wire,
				slog.New(slog.DiscardHandler))
			if err := b.engine.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			engine := b.engine
			t.Cleanup(func() { stopNow(engine) })
			w := b.watch(row.ID, nil)
			s.Client().Message.UpdateOneID(row.ID).SetContent("some").ExecX(b.ctx)
			until(t, "the row's text arrives", func() bool { return rebuild(t, "", w.seen()) == "some" })
			s.Client().Message.UpdateOneID(row.ID).SetContent("some text").SetStatus(message.StatusCOMPLETED).
				ExecX(b.ctx)
			updates := w.wait(t)
			if got := rebuild(t, "", updates); got != "some text" {
				t.Errorf("ends with %q", got)
			}
			if n := wire.asked.Load(); n == 0 || n > 100 {
				t.Errorf("it was asked %d times, want a few", n)
			}
		})
	}
}
