package chat_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"parley/ent"
	"parley/ent/message"
	"parley/internal/bus"
	"parley/internal/catalog"
	"parley/internal/chat"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/refusal/refusaltest"
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

// bundle is a whole server without its transport: database, model server, engine.
type bundle struct {
	store    *store.Store
	upstream *upstreamtest.Server
	bus      *bus.Local
	engine   *reply.Engine
	catalog  *catalog.Catalog
	cfg      chat.Config
	offer    func(catalog.Config) // Makes other models be offered from now on.
	// contextTokens is how much each model can read; 0: nobody knows.
	contextTokens atomic.Int64
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
	return setupAsides(t, s, cfg, reply.Asides{})
}

// setupAsides is setup with a server that makes names and summaries.
func setupAsides(t testing.TB, s *store.Store, cfg chat.Config, asides reply.Asides) *bundle {
	t.Helper()
	b := &bundle{store: s, bus: bus.NewLocal(), cfg: cfg}
	var url string
	b.upstream, url = upstreamtest.Start(t)
	log := slog.New(slog.DiscardHandler)
	client, err := upstream.New(upstream.Config{BaseURL: url, MaxRetries: -1}, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	replies := replytest.Config(reply.Config{MaxPromptBytes: cfg.MaxPromptBytes, Windows: b, Asides: asides})
	b.engine = reply.New(replies, s, client, b.bus, nil, log)
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
	b.offer = func(models catalog.Config) {
		b.catalog = catalog.New(models)
		b.Service = b.service(t, cfg, s)
	}
	b.offer(catalog.Config{Allowed: []string{"test", "other"}})
	return b
}

// ContextTokens implements reply.Windows.
func (b *bundle) ContextTokens(string) (int, bool) {
	n := int(b.contextTokens.Load())
	return n, n > 0
}

// waitLimit is how long the tests wait for replies, unless they say otherwise.
const waitLimit = 50 * time.Second

// How long a message and a system prompt may be in the tests, unless they say otherwise.
const (
	maxMessage = 32 << 10
	maxSystem  = 16 << 10
)

// service returns one more service on the bundle's engine. What cfg requires and leaves
// out is wide.
func (b *bundle) service(t testing.TB, cfg chat.Config, s chat.Store) *chat.Service {
	t.Helper()
	return b.serviceOn(t, cfg, s, b.bus)
}

// serviceOn is service with another bus.
func (b *bundle) serviceOn(t testing.TB, cfg chat.Config, s chat.Store, facts fact.Bus) *chat.Service {
	t.Helper()
	service, err := chat.New(config(cfg), s, b.engine, b.catalog, facts, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return service
}

// config fills in what cfg requires and leaves out.
func config(cfg chat.Config) chat.Config {
	if cfg.MaxReplies == 0 {
		cfg.MaxReplies = 1 << 20
	}
	if cfg.MaxBacklog == 0 {
		cfg.MaxBacklog = time.Hour
	}
	if cfg.MaxSystemBytes == 0 {
		cfg.MaxSystemBytes = maxSystem
	}
	if cfg.MaxMessageBytes == 0 {
		cfg.MaxMessageBytes = maxMessage
	}
	if cfg.MaxPromptBytes == 0 {
		cfg.MaxPromptBytes = 1 << 30
	}
	if cfg.WaitLimit == 0 {
		cfg.WaitLimit = waitLimit
	}
	if cfg.MaxRunning == 0 {
		cfg.MaxRunning = 1000
	}
	return cfg
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
		t.Fatalf("reply to %.40q: got %s, %v, want COMPLETED", content, r.Reply.Status, deref(r.Reply.ErrorCode))
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

// final waits until a reply's row is final.
func (b *bundle) final(t testing.TB, u person, id pid.ID) *ent.Message {
	t.Helper()
	var m *ent.Message
	eventually(t, "the end of the reply", func() bool {
		m = b.row(t, u, id)
		return reply.IsFinal(m.Status)
	})
	return m
}

// line reads all rows of a conversation in index order.
func (b *bundle) line(t testing.TB, u person, id pid.ID) []*ent.Message {
	t.Helper()
	var rows []*ent.Message
	eventually(t, "an answer of the database", func() bool {
		var err error
		rows, err = b.store.Client().Message.Query().Where(message.ConversationID(id)).Order(message.ByIndex()).
			All(u.ctx)
		if err != nil && !b.store.IsUnavailable(err) { // As on a machine that is too busy.
			t.Fatal(err)
		}
		return err == nil
	})
	return rows
}

// wantLine fails unless the indexes of a conversation are 0,1,2,….
func (b *bundle) wantLine(t testing.TB, u person, id pid.ID, n int) {
	t.Helper()
	rows := b.line(t, u, id)
	var got []int
	for i, m := range rows {
		got = append(got, m.Index)
		switch {
		case i == 0 && (m.ParentID != nil || m.Role != message.RoleSYSTEM):
			t.Errorf("message 0 is %s with parent %v, want SYSTEM without one", m.Role, m.ParentID)
		case i > 0 && (m.ParentID == nil || *m.ParentID != rows[i-1].ID):
			t.Errorf("message %d does not follow the one before it", i)
		}
	}
	want := make([]int, n)
	for i := range want {
		want[i] = i
	}
	if !slices.Equal(got, want) {
		t.Errorf("got indexes %v, want 0 to %d", got, n-1)
	}
	c, err := b.Conversations(u.ctx, u.id, []pid.ID{id})
	if err != nil || len(c) != 1 || c[0].HeadID != rows[len(rows)-1].ID {
		t.Errorf("got %v, %v, want the last message as the head", c, err)
	}
}

// counts is how many rows each table has.
func (b *bundle) counts(t testing.TB) map[string]int {
	t.Helper()
	sweep, admin := viewer.AsSweep(t.Context()), viewer.AsAdmin(t.Context())
	c := b.store.Client()
	return map[string]int{
		"users": c.User.Query().CountX(admin), "auth sessions": c.AuthSession.Query().CountX(admin),
		"conversations": b.count(t, "conversations"), "messages": c.Message.Query().CountX(sweep),
		"sends": c.Send.Query().CountX(sweep), "replicas": c.Replica.Query().CountX(sweep),
		"throttles": c.AuthThrottle.Query().CountX(viewer.AsSignIn(t.Context())),
	}
}

// count is how many rows a table has that only their owners may read.
func (b *bundle) count(t testing.TB, table string) int {
	t.Helper()
	var n int
	b.raw(t, func(tx *ent.Tx) error {
		rows, err := tx.QueryContext(t.Context(), "SELECT count(*) FROM "+table)
		if err != nil {
			return err
		}
		defer rows.Close()
		rows.Next()
		return errors.Join(rows.Scan(&n), rows.Err())
	})
	return n
}

// raw runs statements that no policy sees.
func (b *bundle) raw(t testing.TB, run func(tx *ent.Tx) error) {
	t.Helper()
	if err := b.store.InTx(t.Context(), run); err != nil {
		t.Fatal(err)
	}
}

// refused fails unless err has the code, and returns what the client gets beside it.
func refused(t testing.TB, err error, code refusal.Code) map[string]any {
	t.Helper()
	e, ok := refusal.As(err)
	if !ok {
		t.Errorf("got error %v, want %s", err, code)
		return nil
	}
	if e.Code != code {
		t.Errorf("got %s (%s), want %s", e.Code, e.Message, code)
	}
	for _, bad := range refusaltest.Voice(e.Code, e.Message, e.Fields) {
		t.Errorf("%s: %s", e.Code, bad)
	}
	extras := e.Extensions()
	delete(extras, "code")
	return extras
}

// unchanged runs something that must be refused, and checks that no table grew and
// no model was called.
func (b *bundle) unchanged(t testing.TB, code refusal.Code, try func() error) map[string]any {
	t.Helper()
	before, calls := b.counts(t), len(b.upstream.Requests())
	extras := refused(t, try(), code)
	if diff := cmp.Diff(before, b.counts(t)); diff != "" {
		t.Errorf("a refused request changed the number of rows (-before +after):\n%s", diff)
	}
	if n := len(b.upstream.Requests()); n != calls {
		t.Errorf("a refused request called the model %d times", n-calls)
	}
	return extras
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

// body is the JSON that the model server got.
func body(t testing.TB, r upstreamtest.Request) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(r.Body, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func ptr[T any](v T) *T { return &v }

func deref[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}
