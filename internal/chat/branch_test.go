package chat_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/prompt"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/upstream/upstreamtest"
)

// shown is the visible line in words.
func (b *bundle) shown(t testing.TB, u person, id pid.ID) []string {
	t.Helper()
	var texts []string
	for _, m := range b.line(t, u, id) {
		if m.Active && m.Index > 0 {
			texts = append(texts, m.Content)
		}
	}
	return texts
}

func (b *bundle) wantShown(t testing.TB, u person, id pid.ID, want ...string) {
	t.Helper()
	if got := b.shown(t, u, id); !slices.Equal(got, want) {
		t.Errorf("the line is %q, want %q", got, want)
	}
}

// checkTree fails unless the rows of a conversation are a tree with one visible line.
func (b *bundle) checkTree(t testing.TB, u person, id pid.ID) {
	t.Helper()
	c, rows := b.tree(t, u, id)
	if c == nil {
		return
	}
	n := 0
	for _, m := range rows {
		switch {
		case m.Index == 0 && m.ParentID == nil && m.Active:
		case m.ParentID == nil || rows[*m.ParentID] == nil || rows[*m.ParentID].Index != m.Index-1:
			t.Fatalf("message %d has the parent %v, which is not there or not before it", m.Index, deref(m.ParentID))
		case m.Active && !rows[*m.ParentID].Active:
			t.Fatalf("message %d is on the line, and what it follows is not", m.Index)
		}
		if m.Active {
			n++
		}
		if m.Status == message.StatusSTREAMING && m.StopRequestedAt == nil && !m.Active {
			t.Fatalf("reply %d is being written, nobody has asked it to stop, and it is not on the line", m.Index)
		}
	}
	head := rows[c.HeadID]
	if head == nil || !head.Active || head.Index != n-1 {
		t.Fatalf("the head is %v, want the last of %d messages on the line", head, n)
	}
}

// tree reads a conversation with its messages, of one moment also while others change it.
// Nil: the database does not answer.
func (b *bundle) tree(t testing.TB, u person, id pid.ID) (*ent.Conversation, map[pid.ID]*ent.Message) {
	t.Helper()
	read := func() *ent.Conversation {
		c, err := b.Conversations(u.ctx, u.id, []pid.ID{id})
		if b.store.IsUnavailable(err) {
			return nil
		}
		if err != nil || len(c) != 1 {
			t.Fatalf("got %v, %v, want the conversation", c, err)
		}
		return c[0]
	}
	for before := read(); before != nil; {
		rows := make(map[pid.ID]*ent.Message)
		for _, m := range b.line(t, u, id) {
			rows[m.ID] = m
		}
		after := read()
		if after != nil && after.Revision == before.Revision && after.HeadID == before.HeadID {
			return after, rows
		}
		before = after
	}
	return nil, nil
}

// again is what another version is asked for with.
func again(id pid.ID) chat.Again { return chat.Again{MessageID: id, Wait: true} }

func TestRegenerateEditSelect(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		first := b.ask(t, u, nil, "one")
		id := first.Conversation.ID
		second := b.ask(t, u, &id, "two")
		was := b.shown(t, u, id)

		b.upstream.Next(upstreamtest.Reply("another"))
		other, err := b.RegenerateReply(u.ctx, u.id, again(first.Reply.ID))
		if err != nil || other.UserMessage.ID != first.UserMessage.ID || other.Reply.Content != "another" {
			t.Fatalf("got %+v, %v, want another reply to the same question", other, err)
		}
		b.wantShown(t, u, id, "one", "another")
		b.checkTree(t, u, id)
		if got := body(t, b.upstream.Requests()[2])["messages"]; len(got.([]any)) != 1 {
			t.Errorf("the model got %v, want the question alone", got)
		}

		edited, err := b.EditMessage(u.ctx, u.id, again(first.UserMessage.ID), "uno")
		if err != nil || *edited.UserMessage.ParentID != *first.UserMessage.ParentID {
			t.Fatalf("got %+v, %v, want a question beside the first", edited, err)
		}
		b.checkTree(t, u, id)

		// Back to the first version: it opens as it was left.
		c, from, err := b.SelectBranch(u.ctx, u.id, first.UserMessage.ID, &edited.Reply.ID)
		if err != nil || from != 1 || c.HeadID != other.Reply.ID {
			t.Fatalf("got head %v from %d, %v, want the reply that was shown last", c, from, err)
		}
		c, from, err = b.SelectBranch(u.ctx, u.id, first.Reply.ID, nil)
		if err != nil || from != 2 || c.HeadID != second.Reply.ID {
			t.Fatalf("got head %v from %d, %v, want the first line", c, from, err)
		}
		b.wantShown(t, u, id, was...)
		if _, from, err := b.SelectBranch(u.ctx, u.id, second.UserMessage.ID, nil); err != nil || from != -1 {
			t.Errorf("got %d, %v, want no change", from, err)
		}
		b.checkTree(t, u, id)

		refused(t, second2(b.SelectBranch(u.ctx, u.id, first.Reply.ID, &first.Reply.ID)), refusal.CodeStaleHead)
		refused(t, second2(b.SelectBranch(b.user(t).ctx, b.user(t).id, first.Reply.ID, nil)), refusal.CodeNotFound)
		_, err = b.EditMessage(u.ctx, u.id, again(first.Reply.ID), "x")
		refused(t, err, refusal.CodeBadUserInput)
		_, err = b.RegenerateReply(u.ctx, u.id, chat.Again{MessageID: first.Reply.ID, OnBusy: chat.Queue})
		refused(t, err, refusal.CodeBadUserInput)
	})
}

func second2(_ *ent.Conversation, _ int, err error) error { return err }

// What was put in by hand and corrected is what the next prompt holds.
func TestHistoryByHand(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		key := "by-hand-0001"
		in := chat.AddInput{ClientKey: &key, Messages: []chat.NewMessage{
			{Role: message.RoleUSER, Content: "What is one and one?"},
			{Role: message.RoleASSISTANT, Content: "Three.", Reasoning: "Hm.", Model: ptr("abacus")}}}
		added, err := b.AddMessages(u.ctx, u.id, in)
		if err != nil || len(added.Messages) != 2 || added.Conversation.HeadID != added.Messages[1].ID {
			t.Fatalf("got %+v, %v, want two messages", added, err)
		}
		id := added.Conversation.ID
		repeated, err := b.AddMessages(u.ctx, u.id, in)
		if err != nil || !repeated.Deduplicated || repeated.Messages[0].ID != added.Messages[0].ID ||
			len(repeated.Messages) != 2 || repeated.Conversation.ID != id {
			t.Errorf("got %+v, %v, want the same again", repeated, err)
		}
		corrected, err := b.UpdateMessage(u.ctx, u.id, added.Messages[1].ID, "Two.")
		if err != nil || corrected.Content != "Two." || corrected.EditedAt == nil || corrected.Attempt != 1 {
			t.Fatalf("got %+v, %v, want a corrected text of a later attempt", corrected, err)
		}
		b.ask(t, u, &id, "And two?")
		got := fmt.Sprint(body(t, b.upstream.Requests()[0])["messages"])
		want := "[map[content:What is one and one? role:user] map[content:Two. role:assistant] " +
			"map[content:And two? role:user]]"
		if got != want {
			t.Errorf("the model got %s, want %s", got, want)
		}
		// In the middle: a new branch.
		in = chat.AddInput{ConversationID: &id, AfterID: &added.Messages[0].ID,
			Messages: []chat.NewMessage{{Role: message.RoleASSISTANT, Content: "Two, of course."}}}
		if _, err := b.AddMessages(u.ctx, u.id, in); err != nil {
			t.Fatal(err)
		}
		b.wantShown(t, u, id, "What is one and one?", "Two, of course.")
		b.checkTree(t, u, id)

		root := *added.Messages[0].ParentID
		_, err = b.UpdateMessage(u.ctx, u.id, root, "x")
		refused(t, err, refusal.CodeBadUserInput)
		_, err = b.DeleteMessage(u.ctx, u.id, root)
		refused(t, err, refusal.CodeBadUserInput)
		d, err := b.DeleteMessage(u.ctx, u.id, added.Messages[1].ID)
		if err != nil || d.Deleted != 3 || d.From != 2 {
			t.Errorf("got %+v, %v, want three messages gone", d, err)
		}
		b.wantShown(t, u, id, "What is one and one?", "Two, of course.")
		if d, err = b.DeleteMessage(u.ctx, u.id, added.Messages[0].ID); err != nil || d.Deleted != 2 {
			t.Errorf("got %+v, %v, want the rest gone", d, err)
		}
		b.wantShown(t, u, id)
		b.checkTree(t, u, id)
		_, err = b.DeleteMessage(u.ctx, u.id, added.Messages[0].ID)
		refused(t, err, refusal.CodeNotFound)
	})
}

// A reply that was cut off goes on as a version of itself.
func TestContinueReply(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		cut := b.running(t, u, nil, "Rivers run to the ")
		if _, err := b.StopReply(u.ctx, u.id, cut.Reply.ID); err != nil {
			t.Fatal(err)
		}
		b.final(t, u, cut.Reply.ID)
		b.upstream.Next(upstreamtest.Reply("run to the sea."))
		more, err := b.ContinueReply(u.ctx, u.id, again(cut.Reply.ID))
		if err != nil || more.Reply.Content != "Rivers run to the sea." || *more.Reply.ContinuesID != cut.Reply.ID {
			t.Fatalf("got %+v, %v, want the text to its end, and nothing of it twice", more.Reply, err)
		}
		sent := body(t, b.upstream.Requests()[1])["messages"].([]any)
		if len(sent) != 3 || sent[1].(map[string]any)["content"] != "Rivers run to the " {
			t.Errorf("the model got %v, want the text and what asks for more", sent)
		}
		if old := b.row(t, u, cut.Reply.ID); old.Active || old.Content != "Rivers run to the " {
			t.Errorf("the old version is %v, want it as it was", old)
		}
		b.checkTree(t, u, cut.Conversation.ID)
		_, err = b.ContinueReply(u.ctx, u.id, again(more.Reply.ID))
		refused(t, err, refusal.CodeBadUserInput)
		_, err = b.ContinueReply(u.ctx, u.id, again(cut.Reply.ID))
		refused(t, err, refusal.CodeStaleHead)
	})
}

// While a reply is written another version is refused, or takes its place.
func TestVersionsWhileBusy(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		first := b.ask(t, u, nil, "one")
		id := first.Conversation.ID
		running := b.running(t, u, &id, "half")
		for name, try := range map[string]func() error{
			"regenerate": func() error { _, err := b.RegenerateReply(u.ctx, u.id, again(first.Reply.ID)); return err },
			"edit": func() error {
				_, err := b.EditMessage(u.ctx, u.id, again(first.UserMessage.ID), "x")
				return err
			},
			"select":   func() error { _, _, err := b.SelectBranch(u.ctx, u.id, first.Reply.ID, nil); return err },
			"continue": func() error { _, err := b.ContinueReply(u.ctx, u.id, again(running.Reply.ID)); return err },
			"add": func() error {
				_, err := b.AddMessages(u.ctx, u.id, chat.AddInput{ConversationID: &id,
					Messages: []chat.NewMessage{{Role: message.RoleUSER, Content: "x"}}})
				return err
			},
			"fork": func() error {
				_, _, err := b.ForkConversation(u.ctx, u.id, chat.ForkInput{MessageID: running.Reply.ID})
				return err
			},
		} {
			extras := b.unchanged(t, refusal.CodeConversationBusy, try)
			if extras["messageId"] != running.Reply.ID {
				t.Errorf("%s: got %v, want the running reply named", name, extras)
			}
		}
		in := again(running.Reply.ID)
		in.OnBusy = chat.Interrupt
		b.upstream.Next(upstreamtest.Reply("whole"))
		other, err := b.RegenerateReply(u.ctx, u.id, in)
		if err != nil || other.Reply.Content != "whole" {
			t.Fatalf("got %+v, %v, want another version", other.Reply, err)
		}
		old := b.final(t, u, running.Reply.ID)
		if old.Status != message.StatusSTOPPED || old.Content != "half" || old.Active {
			t.Errorf("the old version is %v, want it stopped with its text", old)
		}
		b.checkTree(t, u, id)
	})
}

// A running reply that is deleted ends everywhere, and no row comes back.
func TestDeleteRunning(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		first := b.ask(t, u, nil, "one")
		id := first.Conversation.ID
		running := b.running(t, u, &id, "half")
		d, err := b.DeleteMessage(u.ctx, u.id, running.UserMessage.ID)
		if err != nil || d.Deleted != 2 || d.Conversation.HeadID != first.Reply.ID {
			t.Fatalf("got %+v, %v, want the pair gone", d, err)
		}
		eventually(t, "the end of the attempt", func() bool { return b.engine.Running() == 0 })
		b.checkTree(t, u, id)
		if days := b.store.Client().UsageDay.Query().AllX(u.ctx); len(days) != 1 || days[0].Calls != 2 {
			t.Errorf("got usage %v, want what the deleted reply has used, too", days)
		}
		b.ask(t, u, &id, "two")
	})
}

func TestFork(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		first := b.ask(t, u, nil, "one")
		id := first.Conversation.ID
		second := b.ask(t, u, &id, "two")
		if _, err := b.RegenerateReply(u.ctx, u.id, again(second.Reply.ID)); err != nil {
			t.Fatal(err)
		}
		used := b.store.Client().UsageDay.Query().AllX(u.ctx)
		// Of a version that is not shown, all that it was made from.
		c, _, err := b.ForkConversation(u.ctx, u.id, chat.ForkInput{MessageID: second.Reply.ID, Name: ptr("Fork")})
		if err != nil || c.Name != "Fork" || *c.ForkedFromID != second.Reply.ID {
			t.Fatalf("got %+v, %v, want a fork", c, err)
		}
		b.wantShown(t, u, c.ID, "one", first.Reply.Content, "two", second.Reply.Content)
		b.wantLine(t, u, c.ID, 5)
		key := "fork-tree-1"
		in := chat.ForkInput{MessageID: first.UserMessage.ID, Tree: true, ClientKey: &key}
		tree, _, err := b.ForkConversation(u.ctx, u.id, in)
		if err != nil || len(b.line(t, u, tree.ID)) != 6 {
			t.Fatalf("got %v, %v, want all six messages", tree, err)
		}
		b.checkTree(t, u, tree.ID)
		again, deduplicated, err := b.ForkConversation(u.ctx, u.id, in)
		if err != nil || !deduplicated || again.ID != tree.ID {
			t.Errorf("got %v, %v, %v, want the same fork", again, deduplicated, err)
		}
		if err := b.DeleteConversation(u.ctx, u.id, id); err != nil {
			t.Fatal(err)
		}
		b.ask(t, u, &c.ID, "three")
		if now := b.store.Client().UsageDay.Query().AllX(u.ctx); now[0].Calls != used[0].Calls+1 {
			t.Errorf("usage went from %v to %v, want one call more", used, now)
		}
	})
}

// program does random things with a conversation.
type program struct {
	*rand.Rand
	b  *bundle
	u  person
	id pid.ID
}

// some returns a message of the conversation.
func (p *program) some(t testing.TB) *ent.Message {
	rows := p.b.line(t, p.u, p.id)
	return rows[p.IntN(len(rows))]
}

// step does one thing, which may be refused by one of the codes of the contract.
func (p *program) step(t testing.TB) {
	t.Helper()
	b, u, m := p.b, p.u, p.some(t)
	in := chat.Again{MessageID: m.ID, Wait: p.IntN(3) > 0}
	if p.IntN(3) == 0 {
		in.OnBusy = chat.Interrupt
	}
	var err error
	what := p.IntN(10)
	switch what {
	case 0, 1:
		_, err = b.SendMessage(u.ctx, u.id, chat.SendInput{ConversationID: &p.id, Content: "q", Wait: in.Wait,
			OnBusy: []chat.OnBusy{chat.Reject, chat.Queue, chat.Interrupt}[p.IntN(3)]})
	case 2, 3:
		_, err = b.RegenerateReply(u.ctx, u.id, in)
	case 4:
		_, err = b.EditMessage(u.ctx, u.id, in, "edited")
	case 5:
		_, _, err = b.SelectBranch(u.ctx, u.id, m.ID, nil)
	case 6:
		_, err = b.AddMessages(u.ctx, u.id, chat.AddInput{ConversationID: &p.id, AfterID: &m.ID,
			Messages: []chat.NewMessage{{Role: message.RoleUSER, Content: "by hand"},
				{Role: message.RoleASSISTANT, Content: "by hand, too"}}})
	case 7:
		_, err = b.UpdateMessage(u.ctx, u.id, m.ID, "corrected")
	case 8:
		if p.IntN(3) > 0 {
			_, err = b.StopReply(u.ctx, u.id, m.ID)
		} else {
			_, err = b.DeleteMessage(u.ctx, u.id, m.ID)
		}
	case 9:
		_, err = b.ContinueReply(u.ctx, u.id, in)
	}
	if err == nil || b.store.IsUnavailable(err) { // As on a machine that is too busy.
		return
	}
	e, ok := refusal.As(err)
	if !ok || !slices.Contains([]refusal.Code{refusal.CodeBadUserInput, refusal.CodeNotFound, refusal.CodeStaleHead,
		refusal.CodeConversationBusy, refusal.CodeQueueFull, refusal.CodeContextTooLong}, e.Code) {
		t.Fatalf("%d of %s: got %v, want a refusal of the contract", what, m.Role, err)
	}
}

// Whatever is done with a conversation, in whatever order: its rows are a tree with one
// visible line, which ends with the head, and a prompt is made of it.
func TestPrograms(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		b.upstream.Always(upstreamtest.Reply("a"))
		programs := 250
		if testing.Short() {
			programs = 50
		}
		seeds := make(chan uint64)
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				for seed := range seeds {
					if b.run(t, seed); t.Failed() {
						return
					}
				}
			})
		}
		go func() {
			defer close(seeds)
			for seed := range programs {
				select {
				case seeds <- uint64(seed):
				case <-t.Context().Done():
				}
			}
		}()
		all.Wait()
	})
}

func (b *bundle) run(t *testing.T, seed uint64) {
	u := b.user(t)
	begin := chat.SendInput{Content: "begin", ClientKey: new(fmt.Sprintf("program-%d-of-many", seed))}
	first, err := b.SendMessage(u.ctx, u.id, begin)
	for b.store.IsUnavailable(err) && t.Context().Err() == nil { // As on a machine that is too busy.
		first, err = b.SendMessage(u.ctx, u.id, begin)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &program{rand.New(rand.NewPCG(seed, 13)), b, u, first.Conversation.ID}
	for range 12 {
		p.step(t)
		b.checkTree(t, u, p.id)
	}
	eventually(t, "the end of all replies", func() bool {
		for _, m := range b.line(t, u, p.id) {
			if !reply.IsFinal(m.Status) {
				return false
			}
		}
		return true
	})
	b.checkTree(t, u, p.id)
	var line []prompt.Row
	for _, m := range b.line(t, u, p.id) {
		if m.Active {
			line = append(line, prompt.Row{Role: prompt.StoredRole(string(m.Role)),
				Status: prompt.StoredStatus(string(m.Status)), Content: m.Content})
		}
	}
	if t.Failed() {
		t.Logf("seed %d: %d rows, %d shown, %d sent", seed, len(b.line(t, u, p.id)), len(line), len(prompt.Of(line)))
	}
}
