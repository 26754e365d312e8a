package chat_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/ent/message"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/upstream/upstreamtest"
)

func wantMessages(t *testing.T, r upstreamtest.Request, want ...upstreamtest.Message) {
	t.Helper()
	if diff := cmp.Diff(want, r.Messages); diff != "" {
		t.Errorf("the model was sent something else (-want +got):\n%s", diff)
	}
}

func TestSendStartsAConversation(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		r := b.ask(t, u, nil, "  Hello,\n world! ä𝄞 ")
		if r.Deduplicated {
			t.Error("got deduplicated for a first send")
		}
		if c := r.Conversation; c.Name != "Hello, world! ä𝄞" || c.NameSource != "PLACEHOLDER" || c.UserID != u.id ||
			c.Model != nil {
			t.Errorf("got conversation %v, want the first message as its name", c)
		}
		if m := r.UserMessage; m.Content != "  Hello,\n world! ä𝄞 " || m.Index != 1 || m.Role != message.RoleUSER ||
			m.Status != message.StatusCOMPLETED {
			t.Errorf("got user message %v, want it as sent", m)
		}
		got := b.row(t, u, r.Reply.ID)
		if got.Content != "You said:   Hello,\n world! ä𝄞 " || got.Status != message.StatusCOMPLETED ||
			got.Index != 2 || deref(got.Model) != "test" ||
			deref(got.FinishReason) != message.FinishReasonSTOP || got.ErrorCode != nil || got.Attempt != 1 ||
			deref(got.PromptTokens) != 10 || deref(got.CompletionTokens) != 5 || got.UsageEstimated ||
			got.FinishedAt == nil || got.StartedAt == nil {
			t.Errorf("got reply %v", got)
		}
		if got.Content != r.Reply.Content || got.Status != r.Reply.Status {
			t.Errorf("wait returned %q, %s, want what is stored", r.Reply.Content, r.Reply.Status)
		}
		b.wantLine(t, u, r.Conversation.ID, 3)
		wantMessages(t, b.upstream.Requests()[0], upstreamtest.Message{Role: "user", Content: "  Hello,\n world! ä𝄞 "})
	})
}

func TestSendContinuesAConversation(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{
			Name: ptr("mine"), Model: ptr("other"), SystemPrompt: "Be brief.",
			Parameters: &reply.Parameters{Temperature: ptr(0.0), TopP: ptr(0.5), MaxTokens: ptr(100),
				Stop: []string{"END", "\n"}, Seed: ptr(0)},
		})
		if err != nil {
			t.Fatal(err)
		}
		b.ask(t, u, &c.ID, "one")
		second := b.send(t, u, chat.SendInput{
			ConversationID: &c.ID, Content: "two", Wait: true, Model: ptr("test"),
			Parameters: &reply.Parameters{Temperature: ptr(1.5), PresencePenalty: ptr(-2.0), FrequencyPenalty: ptr(0.0),
				Stop: []string{"."}},
		})
		third := b.ask(t, u, &c.ID, "three")
		b.wantLine(t, u, c.ID, 7)
		if third.Conversation.Name != "mine" || third.Conversation.NameSource != "USER" {
			t.Errorf("got name %q (%s), want the user's untouched", third.Conversation.Name,
				third.Conversation.NameSource)
		}
		if !third.Conversation.LastMessageAt.After(second.Conversation.LastMessageAt) {
			t.Errorf("got last message at %v, want it after %v", third.Conversation.LastMessageAt,
				second.Conversation.LastMessageAt)
		}
		requests := b.upstream.Requests()
		wantMessages(t, requests[2],
			upstreamtest.Message{Role: "system", Content: "Be brief."},
			upstreamtest.Message{Role: "user", Content: "one"},
			upstreamtest.Message{Role: "assistant", Content: "You said: one"},
			upstreamtest.Message{Role: "user", Content: "two"},
			upstreamtest.Message{Role: "assistant", Content: "You said: two"},
			upstreamtest.Message{Role: "user", Content: "three"})
		for i, want := range []map[string]any{
			{"model": "other", "temperature": 0.0, "top_p": 0.5, "stop": []any{"END", "\n"}, "seed": 0.0,
				"presence_penalty": nil, "frequency_penalty": nil},
			{"model": "test", "temperature": 1.5, "top_p": 0.5, "stop": []any{"."}, "seed": 0.0,
				"presence_penalty": -2.0, "frequency_penalty": 0.0},
			{"model": "other", "temperature": 0.0, "top_p": 0.5, "stop": []any{"END", "\n"}, "seed": 0.0,
				"presence_penalty": nil, "frequency_penalty": nil},
		} {
			got := body(t, requests[i])
			for name, value := range want {
				if diff := cmp.Diff(value, got[name]); diff != "" {
					t.Errorf("request %d, %s (-want +got):\n%s", i, name, diff)
				}
			}
			if got["max_tokens"] != 100.0 && got["max_completion_tokens"] != 100.0 {
				t.Errorf("request %d: got %v, want 100 tokens at most", i, got)
			}
		}
		if got := b.row(t, u, second.Reply.ID); deref(got.Model) != "test" || got.SystemPromptHash == nil {
			t.Errorf("got model %v, prompt hash %v, want those of the send", deref(got.Model),
				deref(got.SystemPromptHash))
		}

		// A new system prompt holds from the next reply on.
		if _, err := b.UpdateConversation(u.ctx, u.id, c.ID,
			chat.ConversationPatch{SystemPrompt: ptr("")}); err != nil {
			t.Fatal(err)
		}
		b.ask(t, u, &c.ID, "four")
		if got := b.upstream.Requests()[3].Messages; got[0].Role != "user" || len(got) != 7 {
			t.Errorf("got %v, want no system message", got)
		}
	})
}

func TestSendWithoutWaiting(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		pieces := make(chan string)
		b.upstream.Next(upstreamtest.Pieces(pieces))
		r := b.send(t, u, chat.SendInput{Content: "hello"})
		if r.Reply.Status != message.StatusSTREAMING || r.Reply.Content != "" {
			t.Errorf("got %s, %q, want the pair at once", r.Reply.Status, r.Reply.Content)
		}
		pieces <- "live "
		eventually(t, "the live text in queries", func() bool {
			m, err := b.Messages(u.ctx, u.id, []pid.ID{r.Reply.ID})
			pages, err2 := b.ListMessages(u.ctx, u.id, []pid.ID{r.Conversation.ID}, chat.PageArgs{})
			now, err3 := b.RunningReplies(u.ctx, u.id, []pid.ID{r.Conversation.ID})
			if err != nil || err2 != nil || err3 != nil {
				t.Fatal(err, err2, err3)
			}
			list := pages[r.Conversation.ID].Items
			running := now[r.Conversation.ID]
			return m[0].Content == "live " && len(list) == 2 && list[1].Content == "live " && running != nil &&
				running.Content == "live "
		})
		pieces <- "text"
		close(pieces)
		if got := b.final(t, u, r.Reply.ID); got.Content != "live text" || got.Status != message.StatusCOMPLETED {
			t.Errorf("got %q, %s, want the whole reply", got.Content, got.Status)
		}
		now, err := b.RunningReplies(u.ctx, u.id, []pid.ID{r.Conversation.ID})
		if err != nil || len(now) != 0 {
			t.Errorf("got running replies %v, %v, want none", now, err)
		}
	})
}

func TestWaitLimit(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{WaitLimit: 50 * time.Millisecond}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		b.upstream.Next(upstreamtest.Then("some ", upstreamtest.Hang))
		r := b.send(t, u, chat.SendInput{Content: "hello", Wait: true})
		if r.Reply.Status != message.StatusSTREAMING || r.Reply.ID == "" || r.UserMessage.Content != "hello" {
			t.Errorf("got %s, want the pair as it stands", r.Reply.Status)
		}
	})
}

func TestCallerGoesAway(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		pieces := make(chan string)
		b.upstream.Next(upstreamtest.Pieces(pieces))
		ctx, cancel := context.WithCancel(u.ctx)
		ended := make(chan error, 1)
		go func() {
			r, err := b.SendMessage(ctx, u.id, chat.SendInput{Content: "hello", Wait: true})
			if err == nil && r.Reply.Status != message.StatusSTREAMING {
				err = fmt.Errorf("the reply is %s", r.Reply.Status)
			}
			ended <- err
		}()
		pieces <- "goes "
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("got %v, want the pair as it is stored, though the wait was given up", err)
		}
		pieces <- "on"
		close(pieces)
		list, err := b.ListConversations(u.ctx, u.id, chat.ConversationFilter{}, chat.PageArgs{})
		if err != nil || len(list.Items) != 1 {
			t.Fatalf("got %v, %v, want the conversation", list, err)
		}
		got := b.final(t, u, list.Items[0].HeadID)
		if got.Content != "goes on" || got.Status != message.StatusCOMPLETED {
			t.Errorf("got %q, %s, want the whole reply of a caller that went away", got.Content, got.Status)
		}
	})
}

func TestRowsAreCommittedBeforeTheCall(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		var seen []string
		b.upstream.Next(func(c *upstreamtest.Call) {
			rows, err := b.store.Client().Message.Query().Order(message.ByIndex()).All(u.ctx)
			if err != nil {
				t.Error(err)
			}
			for _, m := range rows {
				seen = append(seen, fmt.Sprintf("%s %s %q", m.Role, m.Status, m.Content))
			}
			c.Text("x")
			c.End()
		})
		b.ask(t, u, nil, "hello")
		if diff := cmp.Diff([]string{`SYSTEM COMPLETED ""`, `USER COMPLETED "hello"`, `ASSISTANT STREAMING ""`},
			seen); diff != "" {
			t.Errorf("rows when the model was called (-want +got):\n%s", diff)
		}
	})
}

func TestFailedReply(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script upstreamtest.Script
		code   reply.Code
		text   string
		// next is what the model is sent with the question "two".
		next []upstreamtest.Message
	}{
		"refused": {upstreamtest.Fail(400, "bad"), reply.CodeRejected, "", says("user", "two")},
		"refused key": {upstreamtest.Fail(401, "invalid_api_key"), reply.CodeUnauthorized, "",
			says("user", "one\n\ntwo")},
		"cut": {upstreamtest.Then("half of ", upstreamtest.Cut), reply.CodeTruncated, "half of ",
			says("user", "one", "assistant", "half of ", "user", "two")},
		"just ends": {upstreamtest.Then("half of ", func(*upstreamtest.Call) {}), reply.CodeTruncated,
			"half of ", says("user", "one", "assistant", "half of ", "user", "two")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, chat.Config{}, func(t *testing.T, b *bundle) {
				u := b.user(t)
				b.upstream.Next(c.script)
				r := b.send(t, u, chat.SendInput{Content: "one", Wait: true})
				got := b.row(t, u, r.Reply.ID)
				if got.Status != message.StatusFAILED || deref(got.ErrorCode) != string(c.code) ||
					got.Content != c.text || got.FinishReason != nil {
					t.Errorf("got %s, %v, %q, %v, want FAILED, %s, %q, nil", got.Status, deref(got.ErrorCode),
						got.Content, got.FinishReason, c.code, c.text)
				}
				if r.Reply.Status != message.StatusFAILED {
					t.Errorf("wait returned %s, want FAILED", r.Reply.Status)
				}
				if r.Conversation.Name != "one" {
					t.Errorf("got name %q of a conversation whose first reply failed, want one", r.Conversation.Name)
				}
				b.ask(t, u, &r.Conversation.ID, "two")
				wantMessages(t, b.upstream.Requests()[1], c.next...)
				b.wantLine(t, u, r.Conversation.ID, 5)
			})
		})
	}
}

// says makes messages of roles and texts in turn.
func says(words ...string) (list []upstreamtest.Message) {
	for i := 0; i < len(words); i += 2 {
		list = append(list, upstreamtest.Message{Role: words[i], Content: words[i+1]})
	}
	return list
}

func TestStopReply(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u, other := b.user(t), b.user(t)
		r := b.running(t, u, nil, "so far ä𝄞 ")
		refusedStop := func(who person, id pid.ID, code refusal.Code) {
			t.Helper()
			m, err := b.Service.StopReply(who.ctx, who.id, id)
			if m != nil {
				t.Errorf("got message %v of a refused stop", m)
			}
			refused(t, err, code)
		}
		refusedStop(other, r.Reply.ID, refusal.CodeNotFound)
		refusedStop(u, pid.New(pid.Message), refusal.CodeNotFound)
		refusedStop(u, r.UserMessage.ID, refusal.CodeBadUserInput)
		refusedStop(u, b.line(t, u, r.Conversation.ID)[0].ID, refusal.CodeBadUserInput)
		if got := b.row(t, u, r.Reply.ID); got.Status != message.StatusSTREAMING || got.StopRequestedAt != nil {
			t.Errorf("got %s, stop requested at %v after refused stops, want a running reply", got.Status,
				got.StopRequestedAt)
		}
		var wg sync.WaitGroup
		for range 5 { // At once, as from several devices.
			wg.Go(func() {
				m, err := b.StopReply(u.ctx, u.id, r.Reply.ID)
				if err != nil || m.Status != message.StatusSTOPPED || m.Content != "so far ä𝄞 " {
					t.Errorf("got %v, %v, want STOPPED with the text so far", m, err)
				}
			})
		}
		wg.Wait()
		first := b.row(t, u, r.Reply.ID)
		if first.Status != message.StatusSTOPPED || first.Content != "so far ä𝄞 " || first.ErrorCode != nil ||
			first.FinishedAt == nil {
			t.Errorf("got %v, want STOPPED with the text so far", first)
		}
		if err := b.upstream.Wait(deadline(t, t.Context()),
			func() bool { return b.upstream.Cancelled() == 1 && b.upstream.Running() == 0 }); err != nil {
			t.Error("the model server was not hung up on")
		}
		m, err := b.StopReply(u.ctx, u.id, r.Reply.ID)
		if err != nil || m.Status != message.StatusSTOPPED || !m.FinishedAt.Equal(*first.FinishedAt) {
			t.Errorf("stop after the end: got %v, %v, want the reply as it was", m, err)
		}
		// The stopped text stays in the history.
		next := b.ask(t, u, &r.Conversation.ID, "and now?")
		wantMessages(t, b.upstream.Requests()[1], upstreamtest.Message{Role: "user", Content: "go on"},
			upstreamtest.Message{Role: "assistant", Content: "so far ä𝄞 "},
			upstreamtest.Message{Role: "user", Content: "and now?"})
		m, err = b.StopReply(u.ctx, u.id, next.Reply.ID)
		if err != nil || m.Status != message.StatusCOMPLETED {
			t.Errorf("stop of a complete reply: got %v, %v, want it unchanged", m, err)
		}
	})
}

func TestStopBeforeAnyText(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		b.upstream.Next(upstreamtest.Hang)
		r := b.send(t, u, chat.SendInput{Content: "one"})
		if err := b.upstream.Wait(deadline(t, t.Context()),
			func() bool { return b.upstream.Running() == 1 }); err != nil {
			t.Fatal("the model was not called")
		}
		if m, err := b.StopReply(u.ctx, u.id, r.Reply.ID); err != nil || m.Status != message.StatusSTOPPED ||
			m.Content != "" {
			t.Errorf("got %v, %v, want STOPPED without text", m, err)
		}
		b.ask(t, u, &r.Conversation.ID, "two")
		b.wantLine(t, u, r.Conversation.ID, 5)
	})
}

func TestExpectedHead(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		r := b.ask(t, u, nil, "one")
		id := r.Conversation.ID
		for _, head := range []pid.ID{r.UserMessage.ID, pid.New(pid.Message), "nonsense"} {
			extras := b.unchanged(t, refusal.CodeStaleHead, func() error {
				_, err := b.SendMessage(u.ctx, u.id,
					chat.SendInput{ConversationID: &id, Content: "two", ExpectedHeadID: &head})
				return err
			})
			if extras["headId"] != r.Reply.ID {
				t.Errorf("got extras %v, want headId %s", extras, r.Reply.ID)
			}
		}
		b.send(t, u, chat.SendInput{ConversationID: &id, Content: "two", ExpectedHeadID: &r.Reply.ID, Wait: true})
		b.unchanged(t, refusal.CodeBadUserInput, func() error {
			_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{Content: "two", ExpectedHeadID: &r.Reply.ID})
			return err
		})
	})
}

func TestBusyConversation(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		r := b.running(t, u, nil, "x ")
		extras := b.unchanged(t, refusal.CodeConversationBusy, func() error {
			_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{ConversationID: &r.Conversation.ID, Content: "two"})
			return err
		})
		want := map[string]any{"messageId": r.Reply.ID, "startedAt": refusal.Instant(*r.Reply.StartedAt)}
		if diff := cmp.Diff(want, extras); diff != "" {
			t.Errorf("extras (-want +got):\n%s", diff)
		}
		if _, err := b.StopReply(u.ctx, u.id, r.Reply.ID); err != nil {
			t.Fatal(err)
		}
		b.ask(t, u, &r.Conversation.ID, "two")
	})
}

func TestParallelSendsIntoOneConversation(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		b.upstream.Always(upstreamtest.Hang)
		c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		admitted := make(chan pid.ID, 20)
		for i := range 20 {
			wg.Go(func() {
				r, err := b.SendMessage(u.ctx, u.id,
					chat.SendInput{ConversationID: &c.ID, Content: fmt.Sprint("send ", i)})
				if err != nil {
					refused(t, err, refusal.CodeConversationBusy)
					return
				}
				admitted <- r.Reply.ID
			})
		}
		wg.Wait()
		if len(admitted) != 1 {
			t.Errorf("%d of 20 parallel sends were admitted, want one", len(admitted))
		}
		b.wantLine(t, u, c.ID, 3)
	})
}

// More transactions than connections: none may wait for a second connection while
// it holds one.
func TestManySendersOfManyUsers(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		var wg sync.WaitGroup
		for range 60 {
			u := b.user(t)
			wg.Go(func() {
				r, err := b.SendMessage(deadline(t, u.ctx), u.id, chat.SendInput{Content: "hello", Wait: true})
				if err != nil || r.Reply.Status != message.StatusCOMPLETED {
					t.Errorf("got %v, %v, want a reply", r.Reply, err)
				}
			})
		}
		wg.Wait()
	})
}

func TestEngineStopsTakingSends(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		b.engine.Stop(t.Context())
		before := b.counts(t)
		_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{Content: "hello"})
		refused(t, err, refusal.CodeUnavailable)
		if diff := cmp.Diff(before, b.counts(t)); diff != "" {
			t.Errorf("a refused send left rows (-before +after):\n%s", diff)
		}
	})
}
