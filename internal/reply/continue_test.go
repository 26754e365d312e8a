package reply_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
	"parley/internal/prompt"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// begun is what the replies of these tests begin with.
const begun = "Die Flüsse fließen "

// continues makes a reply one that goes on with a text.
func continues(text string) func(*ent.MessageCreate) {
	return func(m *ent.MessageCreate) {
		m.SetContent(text).SetContinuedBytes(len(text)).SetContinuesID(pid.New(pid.Message))
	}
}

// asked keeps what a model was asked.
type asked struct {
	mu   sync.Mutex
	list [][]prompt.Message
}

func (a *asked) by(up script) script {
	return func(ctx context.Context, req reply.Request, out reply.Output) (reply.Result, error) {
		a.mu.Lock()
		a.list = append(a.list, req.Messages)
		a.mu.Unlock()
		return up(ctx, req, out)
	}
}

// wants fails unless the model was asked n times to go on with what the reply began with.
func (a *asked) wants(t *testing.T, n int) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.list) != n {
		t.Errorf("the model was asked %d times, want %d", len(a.list), n)
	}
	for _, messages := range a.list {
		last := messages[len(messages)-1]
		if len(messages) < 3 || messages[len(messages)-2].Text() != begun || last.Role != prompt.User ||
			!strings.Contains(last.Text(), "cut off") {
			t.Errorf("the model got %v, want the text and what asks for more", messages)
		}
	}
}

// run has this engine write a reply that is stored.
func (b *bundle) run(row *ent.Message) {
	b.t.Helper()
	a, err := b.engine.Prepare(b.t.Context(), row)
	if err != nil {
		b.t.Fatal(err)
	}
	a.Go()
}

// However the owner of a reply that goes on with a text is lost, the next attempt begins with
// that text, once, and viewers hold it from the start.
func TestContinuedReplyIsTakenOver(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		for name, crashes := range map[string]int{"its owner dies": 1, "its owner is stopped": 0} {
			t.Run(name, func(t *testing.T) {
				var a asked
				b := newBundle(t, s, reply.Config{}, a.by(hang("in das")))
				first := b.engine
				owner := first.ID()
				var row *ent.Message
				if crashes > 0 {
					stopNow(first)
					row = b.ask("hi", dead(), continues(begun), func(m *ent.MessageCreate) {
						m.SetContent(begun + "in das Meer, das weit")
					})
				} else {
					row = b.ask("hi", &owner, continues(begun))
					b.run(row)
					until(t, "some text", func() bool {
						m, err := first.Wait(b.ctx, b.user, row.ID, time.Nanosecond)
						return err == nil && first.Running() == 1 && m != nil && len(b.overlaid(m)) > len(begun)
					})
					stopNow(first)
				}
				ch := make(chan string)
				b.use(reply.Config{}, a.by(pieces(ch)))
				until(t, "the second attempt", func() bool {
					return b.row(row.ID).Attempt == 2 && b.engine.Running() == 1
				})
				if m := b.row(row.ID); m.Content != begun || !strings.HasPrefix(m.Salvage, begun+"in das") {
					t.Errorf("the new attempt begins with %q and keeps %q", m.Content, m.Salvage)
				}
				w := b.watch(row.ID, nil)
				until(t, "the snapshot", func() bool { return len(w.seen()) > 0 })
				if u := w.seen()[0]; u.Kind != reply.Snapshot || u.State().Content != begun {
					t.Errorf("a viewer begins with %+v, want the text before", u)
				}
				ch <- "fließen "
				ch <- "ins Meer."
				close(ch)
				m := b.wants(row.ID, message.StatusCOMPLETED, begun+"ins Meer.", "")
				if m.Crashes != crashes {
					t.Errorf("%d crashes, want %d", m.Crashes, crashes)
				}
				if got := rebuild(t, "", w.wait(t)); got != m.Content {
					t.Errorf("a viewer holds %q, want %q", got, m.Content)
				}
				a.wants(t, 2-crashes)
			})
		}
	})
}

// overlaid is the text of a row with what is not stored of it yet.
func (b *bundle) overlaid(m *ent.Message) string {
	row := *m
	b.engine.Overlay(&row)
	return row.Content
}

// A reply that goes on with a text and is refused by the model server has used nothing, and
// ends with that text. So it is when its owner dies before a model has said anything.
func TestContinuedReplyWithoutMore(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBundle(t, s, reply.Config{}, script(
			func(context.Context, reply.Request, reply.Output) (reply.Result, error) {
				return reply.Result{}, &reply.Error{Code: reply.CodeUnauthorized, Status: http.StatusUnauthorized}
			}))
		owner := b.engine.ID()
		row := b.ask("hi", &owner, continues(begun))
		b.run(row)
		m := b.wants(row.ID, message.StatusFAILED, begun, reply.CodeUnauthorized)
		if m.PromptTokens != nil || m.CompletionTokens != nil {
			t.Errorf("it has used %v and %v tokens, want none", m.PromptTokens, m.CompletionTokens)
		}
		stopNow(b.engine)
		row = b.ask("hi", dead(), continues(begun))
		b.use(reply.Config{InterruptOnCrash: true}, say("never asked"))
		m = b.wants(row.ID, message.StatusINTERRUPTED, begun, reply.CodeRestarted)
		if m.PromptTokens != nil || m.CompletionTokens != nil {
			t.Errorf("it has used %v and %v tokens, want none", m.PromptTokens, m.CompletionTokens)
		}
	})
}

// What a replica of an earlier version has made of such a reply, which knows of no beginning,
// is as good to go on with: its text may be another one, and shorter.
func TestContinuedReplyOfAnOlderReplica(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBundle(t, s, reply.Config{}, say("more"))
		stopNow(b.engine)
		for content, want := range map[string]string{
			"": "more", "日本": "日本more", "aaaa日本語": "aaaa日more", // The length ends within a character.
		} {
			row := b.ask("hi", dead(), func(m *ent.MessageCreate) {
				m.SetContent(content).SetContinuedBytes(9).SetAttempt(2)
			})
			b.use(reply.Config{}, say("more"))
			if m := b.wants(row.ID, message.StatusCOMPLETED, want, ""); m.Attempt != 3 {
				t.Errorf("attempt %d, want 3", m.Attempt)
			}
			stopNow(b.engine)
		}
	})
}

// A reply that another version has taken the place of is not on the line, and no prompt can
// be made for it: when its owner dies it ends as it is.
func TestReplacedReplyIsNotTakenOver(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		var a asked
		b := newBundle(t, s, reply.Config{}, silent)
		stopNow(b.engine)
		old := b.ask("hi", dead(), func(m *ent.MessageCreate) {
			m.SetContent("half").SetActive(false).SetStopRequestedAt(time.Now())
		})
		version := s.Client().Message.Create().SetConversationID(b.conv).SetUserID(b.user).SetParentID(*old.ParentID).
			SetIndex(old.Index).SetRole(message.RoleASSISTANT).SetStatus(message.StatusQUEUED).SetModel("m").
			SaveX(b.ctx)
		b.use(reply.Config{}, a.by(say("whole")))
		b.wants(old.ID, message.StatusSTOPPED, "half", "")
		b.wants(version.ID, message.StatusCOMPLETED, "whole", "")
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.list) != 1 || len(a.list[0]) != 1 || a.list[0][0].Text() != "hi" {
			t.Errorf("the model got %v, want the question, once", a.list)
		}
	})
}
