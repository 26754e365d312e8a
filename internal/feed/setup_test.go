package feed_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/bus"
	"parley/internal/catalog"
	"parley/internal/chat"
	"parley/internal/feed"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/reply/replytest"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/upstream"
	"parley/internal/upstream/upstreamtest"
	"parley/internal/viewer"
	"parley/internal/waittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is a whole server without its transport: database, model server, engine,
// domain, feeds.
type bundle struct {
	store    *store.Store
	upstream *upstreamtest.Server
	bus      *bus.Local
	engine   *reply.Engine
	catalog  *catalog.Catalog
	feeds    *feed.Service
	*chat.Service
}

// person is a user and the context in which that user asks.
type person struct {
	id  pid.ID
	ctx context.Context
}

// each runs the test on both databases. Limits that cfg leaves out are wide.
func each(t *testing.T, cfg chat.Config, test func(t *testing.T, b *bundle)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, s *store.Store) { test(t, setup(t, s, cfg)) })
}

func setup(t testing.TB, s *store.Store, cfg chat.Config) *bundle {
	t.Helper()
	b := &bundle{store: s, bus: bus.NewLocal()}
	var url string
	b.upstream, url = upstreamtest.Start(t)
	log := slog.New(slog.DiscardHandler)
	client, err := upstream.New(upstream.Config{BaseURL: url, MaxRetries: -1}, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	b.engine = reply.New(replytest.Config(reply.Config{}), s, client, b.bus, nil, log)
	if err := b.engine.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		cancel() // Whatever still runs is released.
		b.engine.Stop(ended)
		if n := b.bus.Listeners(); n != 0 {
			t.Errorf("%d listeners are left on the bus, want none", n)
		}
	})
	b.catalog = catalog.New(catalog.Config{Allowed: []string{"test", "other"}})
	b.Service = b.service(t, cfg, s)
	b.feeds = feed.New(s, b.engine, b.bus)
	return b
}

// service returns one more service on the bundle's engine. What cfg requires and leaves
// out is wide.
func (b *bundle) service(t testing.TB, cfg chat.Config, s chat.Store) *chat.Service {
	t.Helper()
	if cfg.MaxReplies == 0 {
		cfg.MaxReplies = 1 << 20
	}
	if cfg.MaxBacklog == 0 {
		cfg.MaxBacklog = time.Hour
	}
	if cfg.MaxSystemBytes == 0 {
		cfg.MaxSystemBytes = 32 << 10
	}
	if cfg.MaxMessageBytes == 0 {
		cfg.MaxMessageBytes = 32 << 10
	}
	if cfg.MaxPromptBytes == 0 {
		cfg.MaxPromptBytes = 1 << 30
	}
	if cfg.WaitLimit == 0 {
		cfg.WaitLimit = 50 * time.Second
	}
	if cfg.MaxRunning == 0 {
		cfg.MaxRunning = 1000
	}
	service, err := chat.New(cfg, s, b.engine, b.catalog, b.bus, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return service
}

func (b *bundle) user(t testing.TB) person {
	t.Helper()
	u, err := b.store.Client().User.Create().Save(viewer.AsAdmin(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return person{u.ID, viewer.AsUser(t.Context(), u.ID)}
}

// send sends and fails the test when it is refused.
func (b *bundle) send(t testing.TB, u person, in chat.SendInput) chat.SendResult {
	t.Helper()
	r, err := b.SendMessage(u.ctx, u.id, in)
	if err != nil {
		t.Fatalf("send %.40q: %v", in.Content, err)
	}
	return r
}

// ask sends, waits for the reply and fails the test when it is not complete.
func (b *bundle) ask(t testing.TB, u person, conversation *pid.ID, content string) chat.SendResult {
	t.Helper()
	r := b.send(t, u, chat.SendInput{ConversationID: conversation, Content: content, Wait: true})
	if r.Reply.Status != message.StatusCOMPLETED {
		t.Fatalf("reply to %.40q: got %s, want COMPLETED", content, r.Reply.Status)
	}
	return r
}

// running starts a reply that hangs after some text, and returns when the text has
// arrived.
func (b *bundle) running(t testing.TB, u person, conversation *pid.ID, text string) chat.SendResult {
	t.Helper()
	b.upstream.Next(upstreamtest.Then(text, upstreamtest.Hang))
	r := b.send(t, u, chat.SendInput{ConversationID: conversation, Content: "go on"})
	eventually(t, "the live text", func() bool {
		m, err := b.Messages(u.ctx, u.id, []pid.ID{r.Reply.ID})
		return err == nil && len(m) == 1 && m[0].Content == text
	})
	return r
}

// row reads a message's row, without the live text.
func (b *bundle) row(t testing.TB, u person, id pid.ID) *ent.Message {
	t.Helper()
	m, err := b.store.Client().Message.Query().Where(message.ID(id)).Only(u.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	waittest.Until(t, what, ok)
}

// deadline bounds waits that should take no time at all.
func deadline(t testing.TB, parent context.Context) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(parent, waittest.Limit)
	t.Cleanup(cancel)
	return ctx
}

// queue sends behind what is being written.
func (b *bundle) queue(t testing.TB, u person, id pid.ID, content string) chat.SendResult {
	t.Helper()
	return b.send(t, u, chat.SendInput{ConversationID: &id, Content: content, OnBusy: chat.Queue})
}

func (b *bundle) rename(t testing.TB, u person, id pid.ID, name string) {
	t.Helper()
	if _, err := b.UpdateConversation(u.ctx, u.id, id, chat.ConversationPatch{Name: &name}); err != nil {
		t.Fatal(err)
	}
}

func ptr[T any](v T) *T { return &v }
