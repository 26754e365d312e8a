package chat_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/ent"
	"parley/ent/conversation"
	"parley/ent/message"
	"parley/ent/usageday"
	"parley/internal/chat"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/upstream/upstreamtest"
	"parley/internal/viewer"
)

// namer is the model for names in the tests.
const namer = "namer"

// named runs a test on both databases with a model for names, that does what the script says.
func named(t *testing.T, cfg chat.Config, asides reply.Asides, test func(t *testing.T, b *namingBundle)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		asides := asides // Both databases run at once.
		asides.TitleModel = namer
		test(t, naming(setupAsides(t, s, cfg, asides)))
	})
}

// namingBundle is a bundle whose model for names has a script of its own.
type namingBundle struct {
	*bundle
	mu     sync.Mutex
	script upstreamtest.Script
}

func naming(b *bundle) *namingBundle {
	n := &namingBundle{bundle: b, script: upstreamtest.Reply("A fine name")}
	echo := upstreamtest.Say(func(r upstreamtest.Request) string { return "You said: " + r.LastUser() })
	b.upstream.Always(func(c *upstreamtest.Call) {
		if c.Request.Model != namer {
			echo(c)
			return
		}
		n.mu.Lock()
		script := n.script
		n.mu.Unlock()
		script(c)
	})
	return n
}

// says makes the model for names follow a script from now on.
func (b *namingBundle) says(script upstreamtest.Script) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.script = script
}

// asked are the calls of the model for names.
func (b *bundle) asked() (requests []upstreamtest.Request) {
	for _, r := range b.upstream.Requests() {
		if r.Model == namer {
			requests = append(requests, r)
		}
	}
	return requests
}

func (b *bundle) conversation(t testing.TB, u person, id pid.ID) *ent.Conversation {
	t.Helper()
	return b.store.Client().Conversation.Query().Where(conversation.ID(id)).OnlyX(u.ctx)
}

// named waits until a conversation has a name by a model.
func (b *bundle) named(t testing.TB, u person, id pid.ID) *ent.Conversation {
	t.Helper()
	var c *ent.Conversation
	eventually(t, "a name", func() bool {
		c = b.conversation(t, u, id)
		return c.NameSource == conversation.NameSourceAUTO
	})
	return c
}

// asides counts what a user's names and summaries have used.
func (b *bundle) asides(u person, purpose usageday.Purpose) (calls, tokens int) {
	for _, d := range b.store.Client().UsageDay.Query().Where(usageday.PurposeEQ(purpose)).AllX(u.ctx) {
		calls, tokens = calls+d.Calls, tokens+d.PromptTokens+d.CompletionTokens
	}
	return calls, tokens
}

func TestName(t *testing.T) {
	t.Parallel()
	named(t, wide, reply.Asides{}, func(t *testing.T, b *namingBundle) {
		b.says(func(c *upstreamtest.Call) {
			c.Reasoning("They want cats.")
			c.Text("<think>Hm.</think>\n**\"Cats and dogs\"**\nmore")
			c.End()
		})
		u := b.user(t)
		facts := b.bus.Subscribe(fact.OfUser(u.id))
		defer facts.Close()
		in := chat.SendInput{Content: "Tell me of cats", Parameters: &reply.Parameters{MaxTokens: ptr(7)}}
		r := b.send(t, u, in)
		c := b.named(t, u, r.Conversation.ID)
		if c.Name != "Cats and dogs" || !c.UpdatedAt.After(r.Conversation.UpdatedAt) || c.TitleTries != 1 {
			t.Errorf("got %q after %d tries, version %v after %v", c.Name, c.TitleTries, c.UpdatedAt,
				r.Conversation.UpdatedAt)
		}
		eventually(t, "word of the name", func() bool {
			for {
				select {
				case f := <-facts.Facts():
					if f.Kind == fact.ConversationUpdated && f.Conversation != nil && f.Conversation.Name == c.Name {
						return f.MessageID == "" && f.Conversation.NameSource == conversation.NameSourceAUTO
					}
				default:
					return false
				}
			}
		})
		b.final(t, u, r.Reply.ID)
		asked := b.asked()
		if len(asked) != 1 {
			t.Fatalf("the model for names was asked %d times, want once", len(asked))
		}
		sent := body(t, asked[0])
		if !strings.Contains(asked[0].LastUser(), "Tell me of cats") || len(asked[0].Messages) != 1 ||
			sent["max_tokens"] != nil || sent["max_completion_tokens"] != nil {
			t.Errorf("asked with %s", asked[0].Body)
		}
		if n := b.engine.Meters().Asides.Of("title").Of("ok").Count(); n != 1 {
			t.Errorf("%d names count as made, want one", n)
		}
		if calls, tokens := b.asides(u, usageday.PurposeTITLE); calls != 1 || tokens != 15 {
			t.Errorf("counted %d calls and %d tokens, want 1 and 15", calls, tokens)
		}
		// It has its name, and is asked no more.
		b.ask(t, u, &r.Conversation.ID, "and dogs")
		if n := len(b.asked()); n != 1 {
			t.Errorf("asked %d times for one name", n)
		}
	})
}

// Clients see by the version, in milliseconds, that a name is newer, whatever the clock does.
func TestNameHasALaterVersion(t *testing.T) {
	t.Parallel()
	named(t, wide, reply.Asides{}, func(t *testing.T, b *namingBundle) {
		u := b.user(t)
		c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{})
		if err != nil {
			t.Fatal(err)
		}
		last := c.UpdatedAt.Add(time.Hour)
		b.says(func(call *upstreamtest.Call) {
			b.store.Client().Conversation.UpdateOneID(c.ID).SetUpdatedAt(last).ExecX(u.ctx)
			upstreamtest.Reply("A fine name")(call)
		})
		b.send(t, u, chat.SendInput{ConversationID: &c.ID, Content: "hello"})
		if c := b.named(t, u, c.ID); refusal.Instant(c.UpdatedAt) <= refusal.Instant(last) {
			t.Errorf("the name has the version %s, after %s", refusal.Instant(c.UpdatedAt), refusal.Instant(last))
		}
	})
}

// A model that fails is asked again at the end of a reply, three times in all, and what it
// says in vain leaves the name as it is.
func TestNameInVain(t *testing.T) {
	t.Parallel()
	for what, x := range map[string]struct {
		script upstreamtest.Script
		counts bool // what it has used
	}{
		"says nothing": {upstreamtest.Reply(" \n "), true},
		"thinks and stops": {func(c *upstreamtest.Call) {
			c.Reasoning("Hm.")
			c.Finish("length")
			c.Usage(9, 9)
			c.Done()
		}, true},
		"says what is unseen": {upstreamtest.Reply("\u202e\u200b"), true},
		"fails":               {upstreamtest.Fail(http.StatusInternalServerError, "down"), false},
		"answers HTML": {func(c *upstreamtest.Call) {
			c.Fail(http.StatusOK, http.Header{"Content-Type": {"text/html"}}, "<h1>502</h1>")
		}, false},
		"hangs": {upstreamtest.Hang, false},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			named(t, wide, reply.Asides{TitleLimit: 300 * time.Millisecond}, func(t *testing.T, b *namingBundle) {
				b.says(x.script)
				u := b.user(t)
				tries := func(id pid.ID, n int) {
					t.Helper()
					eventually(t, fmt.Sprint("try ", n), func() bool {
						calls, _ := b.asides(u, usageday.PurposeTITLE)
						return len(b.asked()) >= n && b.conversation(t, u, id).TitleTries >= n &&
							(!x.counts || calls >= n)
					})
				}
				r := b.ask(t, u, nil, "first")
				id, name := r.Conversation.ID, r.Conversation.Name
				for n := range 5 {
					b.ask(t, u, &id, fmt.Sprint("question ", n))
				}
				// One that is on its way when a reply ends is not made twice.
				for n := 1; n <= 3; n++ {
					eventually(t, fmt.Sprint("try ", n), func() bool {
						if b.conversation(t, u, id).TitleTries >= n {
							return true
						}
						b.ask(t, u, &id, "again")
						return false
					})
					tries(id, n)
				}
				b.ask(t, u, &id, "one more")
				c := b.conversation(t, u, id)
				if c.Name != name || c.NameSource != conversation.NameSourcePLACEHOLDER || c.TitleTries != 3 ||
					len(b.asked()) != 3 {
					t.Errorf("got %q, %s after %d calls, want %q as it was after 3", c.Name, c.NameSource,
						len(b.asked()), name)
				}
				// Replies do not hear of it, and go on to the same server.
				b.ask(t, u, &id, "last")
			})
		})
	}
}

// What no model has seen does not count: a server that is away for an hour costs no
// conversation its name.
func TestNameAfterAnOutage(t *testing.T) {
	t.Parallel()
	for what, script := range map[string]upstreamtest.Script{
		"busy":         upstreamtest.Fail(http.StatusServiceUnavailable, "loading"),
		"rate limited": upstreamtest.Fail(http.StatusTooManyRequests, "slow down"),
		"key refused":  upstreamtest.Fail(http.StatusUnauthorized, "who are you?"),
		"no model":     upstreamtest.Fail(http.StatusNotFound, `{"error": {"code": "model_not_found"}}`),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			named(t, wide, reply.Asides{}, func(t *testing.T, b *namingBundle) {
				b.says(script)
				u := b.user(t)
				id := b.ask(t, u, nil, "first").Conversation.ID
				failed := func() int {
					return int(b.engine.Meters().Asides.Of("title").Of("failed").Count())
				}
				eventually(t, "five calls in vain", func() bool {
					b.ask(t, u, &id, "again")
					return failed() >= 5
				})
				before := b.conversation(t, u, id)
				b.says(upstreamtest.Reply("At last"))
				eventually(t, "a name", func() bool {
					b.ask(t, u, &id, "again")
					return b.conversation(t, u, id).Name == "At last"
				})
				if before.NameSource != conversation.NameSourcePLACEHOLDER || before.TitleTries > 1 {
					t.Errorf("after the outage: %s, %d tries", before.NameSource, before.TitleTries)
				}
			})
		})
	}
}

// A name of the user's is never written over, whoever comes first.
func TestNameRacesARename(t *testing.T) {
	t.Parallel()
	const races = 200
	asides := reply.Asides{TitleModel: namer, AtOnce: 4, Waiting: 2 * races, PerMinute: 2 * races}
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		one, two := naming(setupAsides(t, s, wide, asides)), naming(setupAsides(t, s, wide, asides))
		u := one.user(t)
		ids := make([]pid.ID, races)
		for i := range races {
			c, err := one.CreateConversation(u.ctx, u.id, chat.NewConversation{})
			if err != nil {
				t.Fatal(err)
			}
			ids[i] = c.ID
			called := make(chan struct{})
			one.says(func(c *upstreamtest.Call) {
				close(called)
				c.Text("By a model")
				c.End()
			})
			one.send(t, u, chat.SendInput{ConversationID: &c.ID, Content: "question"})
			<-called // From here on it is written at any time.
			_, err = two.UpdateConversation(u.ctx, u.id, c.ID, chat.ConversationPatch{Name: ptr("mine")})
			if err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "all names", func() bool {
			calls, _ := one.asides(u, usageday.PurposeTITLE)
			return calls == races
		})
		for i, id := range ids {
			if c := one.conversation(t, u, id); c.Name != "mine" || c.NameSource != conversation.NameSourceUSER {
				t.Fatalf("race %d: got %q by %s, want the user's", i, c.Name, c.NameSource)
			}
		}
	})
}

// No name is asked for where there is no model for names, a name, no token left, or a
// conversation that is not kept.
func TestNameIsNotAskedFor(t *testing.T) {
	t.Parallel()
	named(t, chat.Config{TokensPerDay: 1}, reply.Asides{TokensPerDay: 1}, func(t *testing.T, b *namingBundle) {
		broke := b.user(t)
		b.ask(t, broke, nil, "hello") // The reply holds all there is, and has used it when it ends.
		if n := len(b.asked()); n != 0 {
			t.Errorf("asked %d times without tokens", n)
		}
		eventually(t, "a count of it", func() bool {
			return b.engine.Meters().Asides.Of("title").Of("no_tokens").Count() > 0
		})
	})
	named(t, wide, reply.Asides{}, func(t *testing.T, b *namingBundle) {
		u := b.user(t)
		c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{Name: ptr("mine")})
		if err != nil {
			t.Fatal(err)
		}
		b.ask(t, u, &c.ID, "hello")
		passing, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{})
		if err != nil {
			t.Fatal(err)
		}
		b.store.Client().Conversation.UpdateOneID(passing.ID).SetTemporary(true).ExecX(u.ctx)
		b.ask(t, u, &passing.ID, "hello")
		_, err = b.RegenerateName(u.ctx, u.id, passing.ID)
		refused(t, err, refusal.CodeBadUserInput)
		if n := len(b.asked()); n != 0 {
			t.Errorf("asked %d times for names that nobody wants", n)
		}
	})
	each(t, wide, func(t *testing.T, b *bundle) {
		u := b.user(t)
		r := b.ask(t, u, nil, "hello")
		_, err := b.RegenerateName(u.ctx, u.id, r.Conversation.ID)
		refused(t, err, refusal.CodeBadUserInput)
		if n := len(b.upstream.Requests()); n != 1 {
			t.Errorf("%d calls of models, want that of the reply", n)
		}
	})
}

func TestRegenerateName(t *testing.T) {
	t.Parallel()
	named(t, wide, reply.Asides{TitleLimit: time.Second}, func(t *testing.T, b *namingBundle) {
		u, other := b.user(t), b.user(t)
		c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{Name: ptr("mine")})
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.RegenerateName(other.ctx, other.id, c.ID)
		refused(t, err, refusal.CodeNotFound)
		again := func() (*ent.Conversation, error) { return b.RegenerateName(u.ctx, u.id, c.ID) }
		if got, err := again(); err != nil || got.Name != "mine" || len(b.asked()) != 0 {
			t.Errorf("without a question: got %v, %v", got, err)
		}
		b.ask(t, u, &c.ID, "of cats")
		b.ask(t, u, &c.ID, "of dogs")
		got, err := again()
		if err != nil || got.Name != "A fine name" || got.NameSource != conversation.NameSourceAUTO {
			t.Fatalf("got %v, %v, want the model's name", got, err)
		}
		if sent := b.asked()[0].LastUser(); !strings.Contains(sent, "of cats") || !strings.Contains(sent, "of dogs") {
			t.Errorf("asked with %q", sent)
		}
		b.says(upstreamtest.Reply(""))
		if got, err := again(); err != nil || got.Name != "A fine name" {
			t.Errorf("a model that says nothing: got %v, %v, want the name that is there", got, err)
		}
		b.says(upstreamtest.Fail(http.StatusInternalServerError, "down"))
		_, err = again()
		refused(t, err, refusal.CodeModelUnavailable)
		b.says(upstreamtest.Hang)
		_, err = again()
		refused(t, err, refusal.CodeModelUnavailable)
		b.says(func(call *upstreamtest.Call) { // Somebody is quicker.
			_, err := b.UpdateConversation(u.ctx, u.id, c.ID, chat.ConversationPatch{Name: ptr("mine again")})
			if err != nil {
				t.Error(err)
			}
			upstreamtest.Reply("too late")(call)
		})
		if got, err := again(); err != nil || got.Name != "mine again" {
			t.Errorf("got %v, %v, want what the user has written meanwhile", got, err)
		}
		_, err = again()
		if extras := refused(t, err, refusal.CodeRateLimited); extras["retryAfter"] == nil {
			t.Error("it does not say when to try again")
		}
		if calls, _ := b.asides(u, usageday.PurposeTITLE); calls != 3 {
			t.Errorf("counted %d calls, want the 3 that answered", calls)
		}
	})
}

// A question that the model server refused to answer is not asked for a name, either.
func TestNameWithoutWhatWasRefused(t *testing.T) {
	t.Parallel()
	named(t, wide, reply.Asides{}, func(t *testing.T, b *namingBundle) {
		u := b.user(t)
		c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{Name: ptr("mine")})
		if err != nil {
			t.Fatal(err)
		}
		first := b.row(t, u, b.ask(t, u, &c.ID, "one").Reply.ID)
		first.Update().SetStatus(message.StatusFAILED).SetErrorCode(string(reply.CodeContentFilter)).ExecX(u.ctx)
		b.ask(t, u, &c.ID, "two")
		third := b.row(t, u, b.ask(t, u, &c.ID, "three").Reply.ID)
		third.Update().SetFinishReason(message.FinishReasonCONTENT_FILTER).SetContent(" \u2003\n").ExecX(u.ctx)
		b.ask(t, u, &c.ID, "four")
		if _, err := b.RegenerateName(u.ctx, u.id, c.ID); err != nil {
			t.Fatal(err)
		}
		_, sent, _ := strings.Cut(b.asked()[0].LastUser(), "\n\n")
		if lines := strings.Split(sent, "\n"); len(lines) != 5 || lines[1] != "two" || lines[3] != "four" {
			t.Errorf("asked with %q, want what was answered", sent)
		}
	})
}

// Whatever becomes of a conversation and its user meanwhile, what was used counts.
func TestNameOfWhatIsGone(t *testing.T) {
	t.Parallel()
	named(t, wide, reply.Asides{}, func(t *testing.T, b *namingBundle) {
		go1 := make(chan struct{})
		b.says(func(c *upstreamtest.Call) { <-go1; upstreamtest.Reply("late")(c) })
		u := b.user(t)
		r := b.ask(t, u, nil, "hello")
		eventually(t, "the call", func() bool { return len(b.asked()) == 1 })
		if err := b.DeleteConversation(u.ctx, u.id, r.Conversation.ID); err != nil {
			t.Fatal(err)
		}
		close(go1)
		eventually(t, "what was used", func() bool {
			calls, _ := b.asides(u, usageday.PurposeTITLE)
			return calls == 1
		})
		if n := b.count(t, "conversations"); n != 0 {
			t.Errorf("%d conversations are left", n)
		}

		// One who is disabled is not served, also by what was asked for before.
		disabled := b.user(t)
		b.store.Client().User.UpdateOneID(disabled.id).SetDisabledAt(time.Now()).ExecX(viewer.AsAdmin(t.Context()))
		c, err := b.CreateConversation(disabled.ctx, disabled.id, chat.NewConversation{})
		if err != nil {
			t.Fatal(err)
		}
		b.send(t, disabled, chat.SendInput{ConversationID: &c.ID, Content: "hello"})
		_, err = b.RegenerateName(disabled.ctx, disabled.id, c.ID)
		refused(t, err, refusal.CodeNotFound)
		if n := len(b.asked()); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
	})
}

// An engine that is stopped waits for no model.
func TestStopEndsAsides(t *testing.T) {
	t.Parallel()
	named(t, wide, reply.Asides{}, func(t *testing.T, b *namingBundle) {
		b.says(upstreamtest.Hang)
		u := b.user(t)
		for range 5 {
			b.ask(t, u, nil, "hello")
		}
		eventually(t, "two calls", func() bool { return len(b.asked()) == 2 })
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		b.engine.Stop(ctx)
		if ctx.Err() != nil {
			t.Error("the stop has waited for a model")
		}
		if n := len(b.asked()); n != 2 {
			t.Errorf("%d calls, want no more than run at once", n)
		}
	})
}

// What does not fit is dropped, but not what somebody waits for.
func TestAsidesAreBounded(t *testing.T) {
	t.Parallel()
	named(t, wide, reply.Asides{PerMinute: 3}, func(t *testing.T, b *namingBundle) {
		u := b.user(t)
		var r chat.SendResult
		for range 5 {
			r = b.ask(t, u, nil, "hello")
		}
		eventually(t, "what is left out", func() bool {
			return b.engine.Meters().Asides.Of("title").Of("busy").Count() >= 2
		})
		if n := len(b.asked()); n > 3 {
			t.Errorf("asked %d times in a minute, want 3 at most", n)
		}
		c, err := b.RegenerateName(u.ctx, u.id, r.Conversation.ID)
		if err != nil || c.Name != "A fine name" {
			t.Errorf("got %v, %v, want the name that was asked for", c, err)
		}
	})
}
