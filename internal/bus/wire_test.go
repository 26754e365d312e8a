package bus_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"parley/internal/bus"
	"parley/internal/bus/bustest"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/reply"
)

// onServers runs a test with two buses, on one server and across a cluster.
func onServers(t *testing.T, test func(t *testing.T, a, b *bus.NATS, servers []*server.Server)) {
	t.Helper()
	t.Run("one server", func(t *testing.T) {
		t.Parallel()
		srv := bustest.Start(t)
		test(t, connected(t, at(srv)), connected(t, at(srv)), []*server.Server{srv})
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		nodes := startCluster(t)
		test(t, connected(t, at(nodes[0])), connected(t, at(nodes[1])), nodes[:2])
	})
}

// ask puts a question once; it may be lost, above all when the owner comes or goes.
func ask(t *testing.T, n *bus.NATS, owner pid.ID, q reply.Question) (reply.Piece, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	return n.Ask(ctx, owner, q)
}

func total(t *testing.T, servers []*server.Server, kind string) int {
	t.Helper()
	n := 0
	for _, srv := range servers {
		n += heard(t, srv, kind)
	}
	return n
}

func TestAskAndServe(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, a, b *bus.NATS, servers []*server.Server) {
		replica, m := pid.New(pid.Replica), pid.New(pid.Message)
		q := reply.Question{MessageID: m, Attempt: 3, Held: position{content: 1 << 20, thought: 7}}
		if _, err := ask(t, a, replica, q); !errors.Is(err, reply.ErrNoAnswer) {
			t.Fatalf("asking nobody: %v, want no answer", err)
		}
		want := reply.Piece{
			MessageID: m, Attempt: 4,
			From:  position{content: 1, thought: 2},
			Texts: texts{content: "täxt", thought: "why 🐈"},
			End:   position{content: 99, thought: 1 << 30},
		}
		stop := b.Serve(replica, func(got reply.Question) (reply.Piece, error) {
			if got.MessageID != m {
				return reply.Piece{}, reply.ErrNotRunning
			}
			if got != q {
				t.Errorf("asked %+v, want %+v", got, q)
			}
			return want, nil
		})
		defer stop()
		eventually(t, "the question arrives", func() bool {
			got, err := ask(t, a, replica, q)
			if err == nil && got != want {
				t.Fatalf("got %+v, want %+v", got, want)
			}
			return err == nil
		})
		if _, err := ask(t, a, replica, reply.Question{MessageID: pid.New(pid.Message)}); !errors.Is(err,
			reply.ErrNotRunning) {
			t.Errorf("asking about another reply: %v, want not running", err)
		}
		if n := total(t, servers, "ask"); n != 1 {
			t.Errorf("%d subscriptions for questions, want 1", n)
		}
		stop()
		stop()
		eventually(t, "nobody answers any more", func() bool {
			_, err := ask(t, a, replica, q)
			return errors.Is(err, reply.ErrNoAnswer)
		})
		eventually(t, "no subscription is left", func() bool { return total(t, servers, "ask") == 0 })
	})
}

// stop returns when no call is under way, and serving again right away works.
func TestServeStops(t *testing.T) {
	t.Parallel()
	srv := bustest.Start(t)
	a, b := connected(t, at(srv)), connected(t, at(srv))
	replica, m := pid.New(pid.Replica), pid.New(pid.Message)
	var calls, over atomic.Int32
	called := make(chan struct{})
	stop := b.Serve(replica, func(reply.Question) (reply.Piece, error) {
		if calls.Add(1) == 1 {
			close(called)
		}
		defer over.Add(1)
		return reply.Piece{MessageID: m}, nil
	})
	done := make(chan struct{})
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					_, _ = ask(t, a, replica, reply.Question{MessageID: m}) // Only the load counts.
				}
			}
		})
	}
	receive(t, "a question", called)
	stop()
	if c, o := calls.Load(), over.Load(); c != o {
		t.Errorf("stop returned with %d of %d calls over", o, c)
	}
	before := calls.Load()
	stop = b.Serve(replica, func(reply.Question) (reply.Piece, error) {
		return reply.Piece{MessageID: m, Attempt: 2}, nil
	})
	defer stop()
	eventually(t, "the second one answers", func() bool {
		p, err := ask(t, a, replica, reply.Question{MessageID: m})
		return err == nil && p.Attempt == 2
	})
	if n := calls.Load(); n != before {
		t.Errorf("%d calls after stop", n-before)
	}
	close(done)
	asking.Wait()
}

// What the owner sends after its answer arrives at whoever followed before asking.
func TestFollowThenAsk(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, a, b *bus.NATS, servers []*server.Server) {
		replica := pid.New(pid.Replica)
		defer b.Serve(replica, func(q reply.Question) (reply.Piece, error) {
			b.Send(said(q.MessageID, "at once"))
			return reply.Piece{MessageID: q.MessageID}, nil
		})()
		eventually(t, "the owner answers", func() bool {
			_, err := ask(t, a, replica, reply.Question{MessageID: pid.New(pid.Message)})
			return err == nil
		})
		for range 200 {
			m := pid.New(pid.Message)
			pieces := a.Follow(m)
			if _, err := a.Ask(t.Context(), replica, reply.Question{MessageID: m}); err != nil {
				t.Fatal(err)
			}
			if p := receive(t, "the piece", pieces.Arrived()); p.Texts[content] != "at once" || p.MessageID != m {
				t.Fatalf("got %+v", p)
			}
			pieces.Close()
		}
		eventually(t, "no subscription is left", func() bool { return total(t, servers, "piece") == 0 })
	})
}

// Followers of one reply share a subscription, each gets all pieces in order, and
// one that does not read costs the others nothing.
func TestFollowers(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, a, b *bus.NATS, servers []*server.Server) {
		m := pid.New(pid.Message)
		lazy, first, second, other := b.Follow(m), b.Follow(m), b.Follow(m), b.Follow(pid.New(pid.Message))
		own := a.Follow(m)
		eventually(t, "NATS knows", func() bool { return total(t, servers, "piece") == 3 })
		eventually(t, "the sender's server knows", func() bool {
			a.Send(reply.Piece{MessageID: m})
			return len(first.Arrived()) > 0 && len(second.Arrived()) > 0
		})
		const pieces = 1000
		for i := range pieces {
			want := said(m, "x")
			want.From[content], want.End[content] = i, pieces
			a.Send(want)
			for _, f := range []reply.Pieces{first, second} {
				for got := receive(t, "a piece", f.Arrived()); got != want; got = receive(t, "a piece", f.Arrived()) {
					if got.Attempt != 0 {
						t.Fatalf("got %+v, want %+v", got, want)
					}
				}
			}
		}
		if len(other.Arrived()) > 0 || len(own.Arrived()) > 0 {
			t.Error("pieces arrived where they should not")
		}
		if n := len(lazy.Arrived()); n != cap(lazy.Arrived()) {
			t.Errorf("%d pieces wait for the one that does not read, want %d", n, cap(lazy.Arrived()))
		}
		for _, f := range []reply.Pieces{lazy, first, second, other, own} {
			f.Close()
			f.Close()
		}
		eventually(t, "no subscription is left", func() bool { return total(t, servers, "piece") == 0 })
	})
}

// A piece larger than a message arrives in several, cut between runes.
func TestHugePiece(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, a, b *bus.NATS, servers []*server.Server) {
		m := pid.New(pid.Message)
		pieces := b.Follow(m)
		defer pieces.Close()
		eventually(t, "the sender's server knows", func() bool {
			a.Send(reply.Piece{MessageID: m})
			return len(pieces.Arrived()) > 0
		})
		text, reasoning := strings.Repeat("a🐈ä", 200_001), strings.Repeat("ä€", 150_000)
		a.Send(reply.Piece{
			MessageID: m, Attempt: 1,
			From:  position{content: 5, thought: 3},
			Texts: texts{content: text, thought: reasoning},
			End:   position{content: 5 + len(text), thought: 3 + len(reasoning) + 1},
		})
		var gotText, gotReasoning strings.Builder
		for gotText.Len() < len(text) || gotReasoning.Len() < len(reasoning) {
			p := receive(t, "a part", pieces.Arrived())
			if p.Attempt == 0 {
				continue
			}
			if n := len(p.Texts[content]) + len(p.Texts[thought]); n > reply.MaxAnswerBytes || n == 0 {
				t.Fatalf("a part of %d bytes", n)
			}
			if want := (position{content: 5 + gotText.Len(), thought: 3 + gotReasoning.Len()}); p.From != want {
				t.Fatalf("a part at %d, want %d", p.From, want)
			}
			if p.End[content] != 5+len(text) || p.End[thought] != 3+len(reasoning)+1 {
				t.Fatalf("a part says %d and %d", p.End[content], p.End[thought])
			}
			gotText.WriteString(p.Texts[content])
			gotReasoning.WriteString(p.Texts[thought])
		}
		if gotText.String() != text || gotReasoning.String() != reasoning {
			t.Error("the parts are not the whole")
		}
		// An answer is cut to what one message holds.
		replica := pid.New(pid.Replica)
		defer b.Serve(replica, func(reply.Question) (reply.Piece, error) {
			p := said(m, text)
			p.Texts[thought], p.End[thought] = reasoning, len(reasoning)
			return p, nil
		})()
		eventually(t, "an answer", func() bool {
			p, err := ask(t, a, replica, reply.Question{MessageID: m})
			got := p.Texts[thought] // It comes first, and there is more of it than fits.
			if err == nil && (len(got) < reply.MaxAnswerBytes-4 || !strings.HasPrefix(reasoning, got) ||
				p.End[content] != len(text) || p.End[thought] != len(reasoning)) {
				t.Fatalf("the answer has %d bytes of reasoning of %+v", len(got), p.End)
			}
			return err == nil
		})
	})
}

// A connection that died without a word blocks nobody.
func TestBlackHole(t *testing.T) {
	t.Parallel()
	srv := bustest.Start(t)
	hole := newProxy(t, srv.Addr().String())
	a := connected(t, to(hole.url()))
	b := connected(t, at(srv))
	replica, m := pid.New(pid.Replica), pid.New(pid.Message)
	stop := b.Serve(replica, func(reply.Question) (reply.Piece, error) { return reply.Piece{MessageID: m}, nil })
	defer stop()
	eventually(t, "an answer", func() bool {
		_, err := ask(t, a, replica, reply.Question{MessageID: m})
		return err == nil
	})
	hole.block()
	text := strings.Repeat("x", reply.MaxAnswerBytes)
	u := pid.New(pid.User)
	sub := a.Subscribe(fact.OfUser(u))
	// Far more than all buffers on the way take. No deadline: it would hang here.
	for range 2000 {
		f := created(u)
		a.Publish(f)
		until(t, sub, f)
		a.Send(said(m, text))
		other, pieces := a.Subscribe(fact.OfConversation(pid.New(pid.Conversation))), a.Follow(pid.New(pid.Message))
		other.Close()
		pieces.Close()
	}
	// Nobody's turn comes while the connection seems to be there, or is known not to be.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Ask(ctx, replica, reply.Question{MessageID: m}); !errors.Is(err, reply.ErrNoAnswer) {
		t.Errorf("asking into the hole: %v, want no answer", err)
	}
	if _, err := a.Ask(t.Context(), replica, reply.Question{MessageID: m}); !errors.Is(err, reply.ErrNoAnswer) {
		t.Errorf("asking into the hole until it is noticed: %v, want no answer", err)
	}
	eventually(t, "the hole is noticed", func() bool { return !a.Connected() })
	for missed(sub) { // Nothing is left from before.
	}
	receive(t, "doubt", sub.Missed())
	sub.Close()
	a.Close()

	// Closing at once, with the hole full, takes no longer than it must either.
	second := newProxy(t, srv.Addr().String())
	c := connected(t, to(second.url()))
	second.block()
	for range 200 {
		c.Send(said(m, text))
	}
	c.Close()
}
