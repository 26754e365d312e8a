package bus_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/fact"
	"parley/internal/pid"
)

// next waits for one fact.
func next(t *testing.T, s fact.Subscription) fact.Fact {
	t.Helper()
	return *receive(t, "a fact", s.Facts())
}

// until returns the facts before the given one, which it waits for.
func until(t *testing.T, s fact.Subscription, fence fact.Fact) []fact.Fact {
	t.Helper()
	var facts []fact.Fact
	for {
		f := next(t, s)
		if f == fence {
			return facts
		}
		facts = append(facts, f)
	}
}

func created(user pid.ID) fact.Fact {
	return fact.Fact{Kind: fact.ConversationCreated, UserID: user, ConversationID: pid.New(pid.Conversation)}
}

func added(conversation pid.ID) fact.Fact {
	return fact.Fact{Kind: fact.MessageAdded, ConversationID: conversation, MessageID: pid.New(pid.Message)}
}

func stopped() fact.Fact {
	return fact.Fact{Kind: fact.StopRequested, MessageID: pid.New(pid.Message)}
}

func TestStageOrder(t *testing.T) {
	t.Parallel()
	onEachStage(t, func(t *testing.T, s stage) {
		c := pid.New(pid.Conversation)
		subs := s.subscribeAll(t, fact.OfConversation(c))
		for range 20 {
			want := make([]fact.Fact, backlog/2)
			for i := range want {
				want[i] = added(c)
				s.publisher.Publish(want[i])
			}
			for _, sub := range subs {
				for i := range want {
					if got := next(t, sub); got != want[i] {
						t.Fatalf("fact %d is %+v, want %+v", i, got, want[i])
					}
				}
			}
		}
	})
}

// Each kind reaches the topics it should, once, and no other.
func TestStageFanOut(t *testing.T) {
	t.Parallel()
	onEachStage(t, func(t *testing.T, s stage) {
		user, conversation := pid.New(pid.User), pid.New(pid.Conversation)
		otherUser, otherConversation := pid.New(pid.User), pid.New(pid.Conversation)
		topics := []fact.Topic{
			fact.OfUser(user), fact.OfConversation(conversation), fact.Control,
			fact.OfUser(otherUser), fact.OfConversation(otherConversation),
		}
		// A fence is a fact for one topic only: what it follows has arrived or never will.
		fences := []fact.Fact{created(user), added(conversation), stopped(), created(otherUser),
			added(otherConversation)}
		var subs [][]fact.Subscription
		for _, topic := range topics {
			subs = append(subs, s.subscribeAll(t, topic))
		}
		for kind := fact.Kind(0); kind <= fact.ReplyReleased+1; kind++ {
			f := fact.Fact{
				Kind: kind, UserID: user, ConversationID: conversation,
				MessageID: pid.New(pid.Message), SessionID: pid.New(pid.AuthSession),
			}
			s.publisher.Publish(f)
			for i, topic := range topics {
				s.publisher.Publish(fences[i])
				var want []fact.Fact
				for _, heard := range f.Topics() {
					if heard == topic {
						want = append(want, f)
					}
				}
				for _, sub := range subs[i] {
					if diff := cmp.Diff(want, until(t, sub, fences[i])); diff != "" {
						t.Errorf("kind %d at %s (-want +got):\n%s", kind, topic, diff)
					}
				}
			}
		}
	})
}

// A listener that does not listen loses facts and is told; others lose nothing.
func TestStageSlowListener(t *testing.T) {
	t.Parallel()
	onEachStage(t, func(t *testing.T, s stage) {
		u := pid.New(pid.User)
		quick := s.subscribeAll(t, fact.OfUser(u))
		slow := s.subscribeAll(t, fact.OfUser(u))
		var first fact.Fact
		for i := range 3 * backlog {
			f := created(u)
			if i == 0 {
				first = f
			}
			s.publisher.Publish(f)
			for _, sub := range quick {
				if got := next(t, sub); got != f {
					t.Fatalf("the quick one got %+v, want %+v", got, f)
				}
			}
		}
		for _, sub := range slow {
			receive(t, "word of the loss", sub.Missed())
			facts := take(sub)
			if len(facts) != backlog || facts[0] != first {
				t.Errorf("the slow one holds %d facts, want the first %d", len(facts), backlog)
			}
		}
	})
}

// Closed listeners hear nothing, others go on, and nothing remains at the servers.
func TestStageClose(t *testing.T) {
	t.Parallel()
	onEachStage(t, func(t *testing.T, s stage) {
		c := pid.New(pid.Conversation)
		closed, open := s.subscribeAll(t, fact.OfConversation(c)), s.subscribeAll(t, fact.OfConversation(c))
		for _, sub := range append(closed, s.subscribeAll(t, fact.Control)...) {
			sub.Close()
			sub.Close()
		}
		f := added(c)
		s.publisher.Publish(f)
		for i, sub := range open {
			if got := next(t, sub); got != f {
				t.Errorf("got %+v, want %+v", got, f)
			}
			if got := take(closed[i]); len(got) > 0 {
				t.Errorf("a closed listener got %+v", got)
			}
		}
		// Listen again at once: there is no gap in which the topic is forgotten.
		for i, sub := range open {
			sub.Close()
			open[i] = s.listeners[i].Subscribe(fact.OfConversation(c))
		}
		for i, sub := range open {
			eventually(t, "facts after listening again", func() bool {
				s.publisher.Publish(f)
				return len(take(open[i])) > 0
			})
			sub.Close()
		}
		eventually(t, "no subscription is left", func() bool { return s.subscriptions() == 0 })
	})
}

// Listeners come and go while facts arrive; no fact comes twice or out of order.
func TestStageAtOnce(t *testing.T) {
	t.Parallel()
	onEachStage(t, func(t *testing.T, s stage) {
		u := pid.New(pid.User)
		done := make(chan struct{})
		var publishing, listening sync.WaitGroup
		publishing.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					s.publisher.Publish(created(u))
				}
			}
		})
		for _, b := range s.listeners {
			for range 4 {
				listening.Go(func() {
					for range 30 {
						sub := b.Subscribe(fact.OfUser(u))
						last := fact.Fact{}
						for range 8 {
							select {
							case f := <-sub.Facts():
								if f.ConversationID <= last.ConversationID { // Ids are in the order they were made.
									t.Errorf("%s after %s", f.ConversationID, last.ConversationID)
								}
								last = *f
							case <-sub.Missed():
							}
						}
						sub.Close()
					}
				})
			}
		}
		listening.Wait()
		close(done)
		publishing.Wait()
		eventually(t, "no subscription is left", func() bool { return s.subscriptions() == 0 })
	})
}
