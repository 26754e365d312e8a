package graph_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql/executor"
	"go.uber.org/goleak"

	"parley/graph"
	"parley/graph/model"
	"parley/internal/auth"
	"parley/internal/bus"
	"parley/internal/catalog"
	"parley/internal/chat"
	"parley/internal/feed"
	"parley/internal/pid"
	"parley/internal/refusal"
	"parley/internal/reply"
	"parley/internal/reply/replytest"
	"parley/internal/store"
	"parley/internal/store/storetest"
	"parley/internal/transport"
	"parley/internal/upstream"
	"parley/internal/upstream/upstreamtest"
	"parley/internal/viewer"
	"parley/internal/waittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	password = "correct horse 7 battery"
	// patience bounds waits that should take no time at all.
	patience = waittest.Limit
	// The models: one behind a real HTTP server, one that writes what the test says.
	modelServer = "test"
	modelPieces = "pieces"
)

// logBuffer keeps what was logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// options change what setup builds.
type options struct {
	chat    chat.Config
	auth    func(*auth.Config)
	catalog catalog.Config
	asides  reply.Asides
	// production switches introspection and suggestions off.
	production bool
}

// bundle is the whole server below cmd, wired as cmd/parley does it.
type bundle struct {
	t       testing.TB
	store   *store.Store
	faults  *faults
	bus     *bus.Local
	auth    *auth.Service
	replies *reply.Engine
	chat    *chat.Service
	model   *upstreamtest.Server
	pieces  *pieceModel
	graphql *transport.Server
	exec    *executor.Executor
	url     string
	log     *logBuffer
}

func setup(t testing.TB, db *store.Store, o options) *bundle {
	t.Helper()
	b := &bundle{
		t: t, store: db, faults: newFaults(db.Client()), bus: bus.NewLocal(),
		model: upstreamtest.New(), pieces: newPieceModel(), log: &logBuffer{},
	}
	log := slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg := accounts()
	if o.auth != nil {
		o.auth(&cfg)
	}
	var err error
	if b.auth, err = auth.New(cfg, db, b.bus, auth.GenerateKeyring(), log); err != nil {
		t.Fatal(err)
	}
	client, err := upstream.NewInProcess(b.model, log)
	if err != nil {
		t.Fatal(err)
	}
	if o.catalog.Source == nil && o.catalog.Always == nil {
		o.catalog.Allowed = []string{modelServer, modelPieces}
		o.catalog.Always = []catalog.Model{{ID: modelPieces, Upstream: modelPieces}}
	}
	o.catalog.Upstream = modelServer
	models := catalog.New(o.catalog)
	router, err := upstream.NewRouter(models,
		map[string]reply.Upstream{modelServer: client, modelPieces: b.pieces})
	if err != nil {
		t.Fatal(err)
	}
	limits := replytest.Config(reply.Config{Address: "test", SoleReplica: true, Asides: o.asides})
	b.replies = reply.New(limits, db, router, b.bus, nil, log)
	if b.chat, err = chat.New(wide(o.chat), db, b.replies, models, b.bus, log); err != nil {
		t.Fatal(err)
	}
	resolver := &graph.Resolver{
		Accounts: b.auth, Chat: b.chat, Replies: b.replies, Feeds: feed.New(db, b.replies, b.bus),
		Site: &model.Site{
			Name: "Test", SignUp: true, Issuers: []*model.SiteIssuer{}, Suggestions: []string{"Hello"},
			Features: []string{}, Version: "v0",
		},
		Unavailable: store.IsUnavailable, Log: log,
	}
	b.graphql = transport.New(transport.Config{
		Schema:         graph.NewSchema(resolver),
		ErrorPresenter: graph.ErrorPresenter(log, store.IsUnavailable),
		Recover:        graph.Recover(log),
		Operations:     resolver.Around,
		Authenticate:   b.authenticate,
		RefuseOrigin:   func(string) *refusal.Error { return refusal.Forbidden("No.") },
		Development:    !o.production,
		Limits:         transport.Limits{Cost: 100_000, Selections: 1000}, // Some tests select everything there is.
		Log:            log,
	})
	b.exec = executor.New(graph.NewSchema(resolver))
	b.exec.SetErrorPresenter(graph.ErrorPresenter(log, store.IsUnavailable))
	b.exec.SetRecoverFunc(graph.Recover(log))
	b.exec.AroundOperations(resolver.Around)

	if err := b.auth.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.replies.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(b.graphql)
	b.url = web.URL
	t.Cleanup(func() {
		b.faults.off()
		now, cancel := context.WithCancel(context.Background())
		cancel() // Nobody needs time to come back.
		b.graphql.Close(now)
		b.model.Close()
		b.pieces.close()
		web.CloseClientConnections()
		web.Close()
		b.replies.Stop(now)
		b.auth.Stop()
		client.Close()
		for _, secret := range []string{password, "prt.", "eyJ"} {
			if strings.Contains(b.log.String(), secret) {
				t.Errorf("the log contains %q", secret)
			}
		}
	})
	return b
}

// accounts is a configuration without limits, whose hashes cost nothing.
func accounts() auth.Config {
	return auth.Config{
		Issuer: "https://parley.test", Audience: "parley", SignUpOpen: true,
		AccessTTL: 15 * time.Minute, RefreshIdle: time.Hour, RefreshAbsolute: 24 * time.Hour, Grace: 10 * time.Second,
		Limits: auth.Limits{
			SignInBurst: auth.NoLimit, SignInEvery: time.Second, SignUpsPerHour: auth.NoLimit,
			RefreshesPerHour: auth.NoLimit, FreeFailures: auth.NoLimit, FirstDelay: time.Second, MaxDelay: time.Second,
			FailuresPerHour: auth.NoLimit,
		},
		Hash: auth.HashCost{MemoryKiB: 8, Passes: 1, Lanes: 1},
	}
}

// wide gives room where the test sets no limit.
func wide(cfg chat.Config) chat.Config {
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
	return cfg
}

// onSQLite is setup for tests in which the kind of database does not matter.
func onSQLite(t testing.TB) *bundle {
	t.Helper()
	return setup(t, storetest.SQLite(t), options{})
}

// each runs the test on both databases.
func each(t *testing.T, test func(t *testing.T, b *bundle)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, db *store.Store) { test(t, setup(t, db, options{})) })
}

// authenticate is what cmd/parley does.
func (b *bundle) authenticate(ctx context.Context, token string) (transport.Identity, error) {
	if token == "" {
		return transport.Identity{Context: ctx}, nil
	}
	p, err := b.auth.Authenticate(ctx, token)
	if refusal.Is(err, refusal.CodeUnauthenticated) {
		return transport.Identity{Context: auth.WithRefused(ctx, err)}, transport.ErrForbidden
	}
	if err != nil {
		return transport.Identity{}, err
	}
	ctx, end := b.auth.Bind(ctx, p)
	return transport.Identity{
		Context: viewer.AsUser(auth.WithPrincipal(ctx, p), p.UserID), User: string(p.UserID), End: end,
	}, nil
}

// person is somebody who has signed up.
type person struct {
	id             pid.ID
	email          string
	token, refresh string
}

var nobody = person{}

func (b *bundle) signUp(name string) person {
	b.t.Helper()
	p := person{email: name + "@example.org"}
	tokens, err := b.auth.SignUp(b.t.Context(), auth.SignUpInput{Email: p.email, Password: password, Name: name})
	if err != nil {
		b.t.Fatal(err)
	}
	p.id, p.token, p.refresh = tokens.User.ID, tokens.AccessToken, tokens.RefreshToken
	return p
}

// as is the context of the person's requests.
func (b *bundle) as(p person) context.Context { return viewer.AsUser(b.t.Context(), p.id) }

// eventually waits for something that another goroutine brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it did not happen: %s", what)
		}
	}
}
