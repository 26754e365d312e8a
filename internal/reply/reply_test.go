package reply_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/bus"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/reply/replytest"
	"parley/internal/store"
	"parley/internal/viewer"
	"parley/internal/waittest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// deadline is how long a test waits for what must happen.
const deadline = waittest.Limit

// script is an Upstream made of one function: what has to be controlled to the
// piece here is the moment of each event, not HTTP.
type script func(ctx context.Context, req reply.Request, out reply.Output) (reply.Result, error)

func (s script) Generate(ctx context.Context, req reply.Request, out reply.Output) (reply.Result, error) {
	return s(ctx, req, out)
}

// say answers with a text in one piece.
func say(text string) script {
	return func(_ context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
		return reply.Result{FinishReason: reply.FinishStop}, out.Append(reply.Content, text)
	}
}

// hang says a text and then waits for its end.
func hang(text string) script {
	return func(ctx context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
		if text != "" {
			if err := out.Append(reply.Content, text); err != nil {
				return reply.Result{}, err
			}
		}
		<-ctx.Done()
		return reply.Result{}, context.Cause(ctx)
	}
}

// pieces says what comes over the channel until it is closed.
func pieces(ch <-chan string) script {
	return func(ctx context.Context, _ reply.Request, out reply.Output) (reply.Result, error) {
		for {
			select {
			case p, ok := <-ch:
				if !ok {
					return reply.Result{FinishReason: reply.FinishStop}, nil
				}
				if err := out.Append(reply.Content, p); err != nil {
					return reply.Result{}, err
				}
			case <-ctx.Done():
				return reply.Result{}, context.Cause(ctx)
			}
		}
	}
}

// bundle is an engine on a database with one user and one conversation.
type bundle struct {
	t      *testing.T
	store  *store.Store
	bus    fact.Bus
	engine *reply.Engine
	user   pid.ID
	ctx    context.Context // the user's
	conv   pid.ID
	head   *ent.Message
}

func newBundle(t *testing.T, s *store.Store, cfg reply.Config, up reply.Upstream) *bundle {
	t.Helper()
	b := &bundle{t: t, store: s}
	u, err := s.Client().User.Create().SetEmail(string(pid.New(pid.Send)) + "@example.com").
		Save(viewer.AsAdmin(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	b.user, b.ctx = u.ID, viewer.AsUser(t.Context(), u.ID)
	root := pid.New(pid.Message)
	c := s.Client().Conversation.Create().SetUserID(b.user).SetHeadID(root).SaveX(b.ctx)
	b.conv = c.ID
	b.head = s.Client().Message.Create().SetID(root).SetConversationID(c.ID).SetUserID(b.user).
		SetIndex(0).SetRole(message.RoleSYSTEM).SaveX(b.ctx)
	b.use(cfg, up)
	return b
}

// use starts a new engine, as a new process would, and stops it with the test.
func (b *bundle) use(cfg reply.Config, up reply.Upstream) {
	b.t.Helper()
	b.useStore(b.store, cfg, up)
}

// useStore is use with a database of its own.
func (b *bundle) useStore(s reply.Store, cfg reply.Config, up reply.Upstream) {
	b.t.Helper()
	b.bus = bus.NewLocal()
	b.engine = reply.New(replytest.Config(cfg), s, up, b.bus, nil, slog.New(slog.DiscardHandler))
	if err := b.engine.Start(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	engine := b.engine
	b.t.Cleanup(func() { stopNow(engine) })
}

// stopNow stops an engine without giving its replies time.
func stopNow(e *reply.Engine) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e.Stop(ctx)
}

// ask adds a question and a reply row of the given owner to the line.
func (b *bundle) ask(question string, owner *pid.ID, edit ...func(*ent.MessageCreate)) *ent.Message {
	b.t.Helper()
	now := time.Now().UTC().Truncate(time.Microsecond)
	q := b.store.Client().Message.Create().SetConversationID(b.conv).SetUserID(b.user).SetParentID(b.head.ID).
		SetIndex(b.head.Index + 1).SetRole(message.RoleUSER).SetContent(question).SaveX(b.ctx)
	create := b.store.Client().Message.Create().SetConversationID(b.conv).SetUserID(b.user).SetParentID(q.ID).
		SetIndex(q.Index + 1).SetRole(message.RoleASSISTANT).SetStatus(message.StatusSTREAMING).
		SetModel("m").SetAttempt(1).SetStartedAt(now).SetNillableOwner(owner)
	for _, f := range edit {
		f(create)
	}
	b.head = create.SaveX(b.ctx)
	return b.head
}

// start asks and has the engine answer.
func (b *bundle) start(question string) *ent.Message {
	b.t.Helper()
	owner := b.engine.ID()
	row := b.ask(question, &owner)
	run, err := b.engine.Prepare(b.t.Context(), row)
	if err != nil {
		b.t.Fatal(err)
	}
	run.Go()
	return row
}

// final waits for the end of a reply and returns its row as stored.
func (b *bundle) final(id pid.ID) *ent.Message {
	b.t.Helper()
	m, err := b.engine.Wait(b.ctx, b.user, id, deadline)
	if err != nil {
		b.t.Fatal(err)
	}
	if !reply.IsFinal(m.Status) {
		b.t.Fatalf("the reply is %s after %v, want it final", m.Status, deadline)
	}
	return b.row(id)
}

func (b *bundle) row(id pid.ID) *ent.Message {
	b.t.Helper()
	m, err := b.store.Client().Message.Get(b.ctx, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// wants fails the test unless the stored reply ended like this.
func (b *bundle) wants(id pid.ID, status message.Status, content string, code reply.Code) *ent.Message {
	b.t.Helper()
	m := b.final(id)
	got := reply.Code("")
	if m.ErrorCode != nil {
		got = reply.Code(*m.ErrorCode)
	}
	if m.Status != status || m.Content != content || got != code {
		b.t.Fatalf("got %s %q %q, want %s %q %q", m.Status, m.Content, got, status, content, code)
	}
	if m.FinishedAt == nil || m.Salvage != "" {
		b.t.Fatalf("finished at %v with salvage %q, want a time and none", m.FinishedAt, m.Salvage)
	}
	return m
}

// until polls for what must become true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	waittest.Until(t, what, ok)
}

// watch collects what a viewer sees until the end.
type watch struct {
	mu      sync.Mutex
	updates []reply.Update
	err     error
	done    chan struct{}
}

func (b *bundle) watch(id pid.ID, after *reply.Cursor) *watch {
	b.t.Helper()
	v, err := b.engine.Attach(b.ctx, b.user, id, after)
	if err != nil {
		b.t.Fatal(err)
	}
	w := &watch{done: make(chan struct{})}
	go func() {
		defer close(w.done)
		defer v.Close()
		for {
			u, err := v.Next(b.ctx)
			w.mu.Lock()
			if err != nil {
				w.err = err
				w.mu.Unlock()
				return
			}
			w.updates = append(w.updates, u)
			w.mu.Unlock()
		}
	}()
	return w
}

func (w *watch) seen() []reply.Update {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]reply.Update(nil), w.updates...)
}

// rebuild makes the content by the rule of the documentation and fails on any gap.
func rebuild(t *testing.T, held string, updates []reply.Update) string {
	t.Helper()
	for i, u := range updates {
		switch u.Kind {
		case reply.Snapshot, reply.Finished:
			if u.Kind == reply.Finished && u.State().Content != held {
				t.Fatalf("update %d: finished with %q, want what was delivered, %q", i, u.State().Content, held)
			}
			held = u.State().Content
		case reply.Delta:
			if u.Channel != reply.Content {
				continue
			}
			if at := u.Cursor.At[reply.Content] - len(u.Text); at != len(held) {
				t.Fatalf("update %d: delta at %d, but %d bytes are held", i, at, len(held))
			}
			held += u.Text
			if u.State().Content != held {
				t.Fatalf("update %d: the message says %q, want %q", i, u.State().Content, held)
			}
		}
	}
	return held
}

func (w *watch) wait(t *testing.T) []reply.Update {
	t.Helper()
	select {
	case <-w.done:
	case <-time.After(deadline):
		t.Fatal("the viewer has not ended")
	}
	return w.seen()
}

// deleteConversation deletes the conversation as chat does.
func (b *bundle) deleteConversation() {
	b.t.Helper()
	if err := b.store.Client().Conversation.DeleteOneID(b.conv).Exec(b.ctx); err != nil {
		b.t.Fatal(err)
	}
	b.bus.Publish(fact.Fact{Kind: fact.ConversationDeleted, UserID: b.user, ConversationID: b.conv})
}

var errBroken = errors.New("broken on purpose")
