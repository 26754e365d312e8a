package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"parley/graph"
	"parley/internal/auth"
	"parley/internal/bus"
	"parley/internal/catalog"
	"parley/internal/chat"
	"parley/internal/fact"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/transport"
	"parley/internal/upstream"
	"parley/internal/upstream/eliza"
)

// elizaPace is the pause between two words of the built-in model, about twice the
// speed of the teletype it was written for: slow enough to be seen growing.
const elizaPace = 200 * time.Millisecond

// server is the running program, from the database up.
type server struct {
	cfg     config
	log     *slog.Logger
	store   *store.Store
	bus     fact.Bus
	wire    reply.Wire // Nil without NATS.
	local   *bus.Local // The bus, without NATS.
	auth    *auth.Service
	replies *reply.Engine
	chat    *chat.Service
	graphql *transport.Server
}

// serve runs until ctx ends, then shuts down in order. It answers from the beginning:
// that it is not ready, until it is.
func serve(ctx context.Context, cfg config, log *slog.Logger, stdout io.Writer) (err error) {
	// What the server starts must outlive the signal that ends it: the shutdown
	// decides the order.
	base := context.WithoutCancel(ctx)
	listener, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("another program listens on %s; set PARLEY_ADDR to another address, such as 127.0.0.1:8081", cfg.Addr)
		}
		return fmt.Errorf("listen on PARLEY_ADDR: %w", err)
	}
	ready := newReadiness()
	graphql := newEntrance(cfg, log)
	web := &http.Server{
		Handler:           routes(cfg, ready, graphql),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return base },
	}
	defer func() { _ = web.Close() }() // After an orderly shutdown there is nothing left to close.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- web.Serve(listener)
		cancel()
	}()

	greeting := sync.OnceFunc(func() { greet(cfg, stdout, listener.Addr()) })
	s, closeAll, err := boot(ctx, cfg, log, func() {
		ready.set(noDatabase)
		greeting()
	})
	if err != nil {
		return err
	}
	if s != nil { // Else ctx has ended before there was a database.
		defer func() { err = errors.Join(err, closeAll()) }()
		log.LogAttrs(base, slog.LevelInfo, "started",
			append(cfg.Summary(), slog.String("replica_id", string(s.replies.ID())))...)
		for _, note := range cfg.Notes {
			log.WarnContext(base, note)
		}
		greeting()
		graphql.open(s.withClientAddr(s.graphql))
		ready.open(s.store.Ping)
	}
	<-ctx.Done()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	default:
	}
	if s != nil {
		s.shutdown(base, ready, web)
	}
	return nil
}

// open opens the database, migrated, and makes the rooms on it.
func open(ctx context.Context, cfg config, log *slog.Logger) (_ *server, closeStore func() error, err error) {
	var closers []io.Closer
	closeAll := func() error {
		var err error
		for i := len(closers) - 1; i >= 0; i-- {
			err = errors.Join(err, closers[i].Close())
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll())
		}
	}()
	// Before the database, so that what is wrong here is found without one.
	documents, err := readDocuments(cfg)
	if err != nil {
		return nil, nil, err
	}
	keys, err := readKeys(cfg)
	if err != nil {
		return nil, nil, err
	}
	models, router, err := newUpstream(cfg, log)
	if err != nil {
		return nil, nil, err
	}
	if cfg.DatabaseURL.IsZero() {
		lock, err := store.LockDataDir(cfg.DataDir)
		if err != nil {
			return nil, nil, fmt.Errorf("%s (PARLEY_DATA_DIR): %w", cfg.DataDir, err)
		}
		closers = append(closers, lock)
	}
	if n, err := migrate(ctx, cfg); err != nil {
		return nil, nil, err
	} else if n > 0 {
		log.InfoContext(ctx, "database migrated", "migrations", n)
	}
	db, err := store.Open(ctx, storeConfig(cfg), log)
	if err != nil {
		return nil, nil, err
	}
	closers = append(closers, db)
	s := &server{cfg: cfg, log: log, store: db}
	closeBus, err := s.openBus(ctx)
	if err != nil {
		return nil, nil, err
	}
	closers = append(closers, closeBus)
	if s.auth, err = newAuth(cfg, keys, db, s.bus, log); err != nil {
		return nil, nil, err
	}
	s.replies = reply.New(reply.Config{
		Address:          cfg.Addr,
		Lease:            cfg.Lease,
		ReplyLimit:       cfg.ReplyLimit,
		InterruptOnCrash: cfg.OnCrash == crashInterrupt,
		SoleReplica:      cfg.DatabaseURL.IsZero(),
	}, db, router, s.bus, s.wire, log)
	s.chat, err = chat.New(chat.Config{
		WaitLimit:      cfg.WaitLimit,
		MaxRunning:     cfg.MaxRunning,
		SendsPerMinute: cfg.SendsPerMinute,
		TokensPerDay:   int(cfg.TokensPerDay),
	}, db, s.replies, models, s.bus, log)
	if err != nil {
		return nil, nil, err
	}
	resolver := &graph.Resolver{
		Accounts: s.auth, Chat: s.chat, Replies: s.replies, Unavailable: store.IsUnavailable, Log: log,
	}
	s.graphql = transport.New(transport.Config{
		Schema:         graph.NewSchema(resolver),
		ErrorPresenter: graph.ErrorPresenter(log, store.IsUnavailable),
		Recover:        graph.Recover(log),
		Operations:     resolver.WithBatches,
		Authenticate:   s.authenticate,
		ClientAddr:     func(r *http.Request) string { return auth.ClientAddr(r.Context()).String() },
		AllowedOrigin:  cfg.allowsOrigin,
		AllowedHost:    cfg.hostCheck(),
		Development:    cfg.Mode == development,
		Limits: transport.Limits{
			Once: []string{"signUp", "signIn", "refreshSession", "changePassword", "sendMessage"},
		},
		Documents: documents,
		Log:       log,
	})
	return s, closeAll, nil
}

// openBus makes the bus, within this process or between replicas. It is closed when
// nothing publishes any more, and sends the last facts then.
func (s *server) openBus(ctx context.Context) (io.Closer, error) {
	if s.cfg.NATSURL.IsZero() {
		s.local = bus.NewLocal()
		s.bus = s.local
		return closerFunc(func() {}), nil
	}
	n, err := bus.Connect(ctx, bus.Config{
		URL:       s.cfg.NATSURL.Reveal(),
		Namespace: bus.Namespace(s.cfg.Issuer),
		Lossy:     s.cfg.LossyBus,
		Log:       s.log,
	})
	if err != nil {
		return nil, fmt.Errorf("PARLEY_NATS_URL: %w", err)
	}
	s.bus, s.wire = n, n
	return closerFunc(n.Close), nil
}

// closerFunc is an io.Closer that cannot fail.
type closerFunc func()

func (f closerFunc) Close() error { f(); return nil }

// readDocuments reads the operations that are known beforehand, if any.
func readDocuments(cfg config) (*transport.Documents, error) {
	if cfg.Documents == "" {
		return nil, nil // None are known, which is not an error.
	}
	manifest, err := os.ReadFile(cfg.Documents)
	if err != nil {
		return nil, fmt.Errorf("PARLEY_DOCUMENTS: %w", err)
	}
	documents, err := transport.ParseDocuments(manifest)
	if err != nil {
		return nil, fmt.Errorf("PARLEY_DOCUMENTS: %w", err)
	}
	documents.Only = cfg.DocumentsOnly == on
	return documents, nil
}

// start starts what runs by itself, in the order of who needs whom.
func (s *server) start(ctx context.Context) (stop func(), err error) {
	if err := s.auth.Start(ctx); err != nil {
		return nil, err
	}
	if err := s.replies.Start(ctx); err != nil {
		s.auth.Stop()
		return nil, err
	}
	housekeeping, endHousekeeping := context.WithCancel(ctx)
	var loops sync.WaitGroup
	loops.Go(func() { s.keepHouse(housekeeping) })
	if s.local != nil && !s.cfg.DatabaseURL.IsZero() {
		loops.Go(func() { s.doubtPeers(housekeeping) })
	}
	return func() {
		endHousekeeping()
		loops.Wait()
		// A no-op after an orderly shutdown.
		now, cancel := context.WithCancel(ctx)
		cancel()
		s.replies.Stop(now)
		s.auth.Stop()
	}, nil
}

// doubtEvery is how often feeds look at a database that others change unheard.
const doubtEvery = 2 * time.Second

// doubtPeers makes feeds compare with the database once other replicas have been
// seen on it, since without NATS nothing is heard of what they do.
func (s *server) doubtPeers(ctx context.Context) {
	tick := time.NewTicker(doubtEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.replies.Peers() > 0 {
			s.local.Doubt(ctx, func() time.Duration { return doubtEvery })
		}
	}
}

// keepHouse removes what nobody needs any more, at once and then every hour.
func (s *server) keepHouse(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if err := s.chat.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "old rows not removed", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// storeConfig says which database the configuration means.
func storeConfig(cfg config) store.Config {
	return store.Config{DatabaseURL: cfg.DatabaseURL.Reveal(), DataDir: cfg.DataDir}
}

// migrate brings the database's schema up to date. It is the first to notice that
// there is no database.
func migrate(ctx context.Context, cfg config) (applied int, err error) {
	n, err := store.Migrate(ctx, storeConfig(cfg))
	if err != nil && !cfg.DatabaseURL.IsZero() {
		return 0, fmt.Errorf("database of PARLEY_DATABASE_URL: %w", err)
	}
	return n, err
}

// readKeys takes the keys of access tokens from the configuration, or from the data
// folder, where it makes them when they are missing.
func readKeys(cfg config) (keys *auth.Keyring, err error) {
	if cfg.AuthKeys.IsZero() {
		if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
			return nil, fmt.Errorf("PARLEY_DATA_DIR: %w", err)
		}
		keys, err = auth.LoadOrCreateKeyring(filepath.Join(cfg.DataDir, keysName))
	} else {
		keys, err = auth.ParseKeyring(cfg.AuthKeys.Reveal())
	}
	if err != nil {
		return nil, fmt.Errorf("keys of access tokens: %w", err)
	}
	return keys, nil
}

// keysName is the file in the data folder that holds the keys.
const keysName = "auth.keys"

// newAuth makes the accounts.
func newAuth(
	cfg config, keys *auth.Keyring, db *store.Store, facts fact.Bus, log *slog.Logger,
) (*auth.Service, error) {
	external := make([]auth.ExternalIssuer, len(cfg.OIDC))
	for i, o := range cfg.OIDC {
		external[i] = auth.ExternalIssuer{
			Issuer: o.Issuer, Audience: o.Audience, JWKSURL: o.JWKSURL,
			Algorithms: auth.AsymmetricAlgorithms(),
		}
	}
	return auth.New(auth.Config{
		Issuer:          cfg.Issuer,
		Audience:        "parley",
		SignUpOpen:      cfg.SignUpOpen,
		AccessTTL:       cfg.AccessTTL,
		RefreshIdle:     refreshIdle,
		RefreshAbsolute: refreshAbsolute,
		Grace:           refreshGrace,
		Limits:          attemptLimits,
		Hash:            passwordHash,
		External:        external,
	}, db, facts, keys, log)
}

// The upstreams, as the catalog names them.
const (
	builtIn = "built-in"
	openAI  = "openai"
)

// newUpstream makes the model servers, the catalog of what they offer, and the way from
// one to the other.
func newUpstream(cfg config, log *slog.Logger) (*catalog.Catalog, reply.Upstream, error) {
	offered := catalog.Config{Allowed: cfg.Models, Default: cfg.Model}
	upstreams := make(map[string]reply.Upstream)
	if cfg.ElizaListed() {
		c, err := upstream.NewInProcess(eliza.Handler(elizaPace), log)
		if err != nil {
			return nil, nil, fmt.Errorf("built-in model: %w", err)
		}
		upstreams[builtIn] = c
		offered.Always = []catalog.Model{{ID: eliza.Model, Description: eliza.Description, Upstream: builtIn}}
	}
	if cfg.OpenAIBaseURL != "" {
		c, err := upstream.New(upstream.Config{
			BaseURL:     cfg.OpenAIBaseURL,
			APIKey:      cfg.OpenAIKey,
			Proxy:       http.ProxyFromEnvironment,
			MaxDuration: cfg.ReplyLimit,
		}, log)
		if err != nil {
			return nil, nil, fmt.Errorf("OPENAI_BASE_URL: %w", err)
		}
		upstreams[openAI] = c
		offered.Upstream, offered.Source = openAI, c
	}
	models := catalog.New(offered)
	router, err := upstream.NewRouter(models, upstreams)
	return models, router, err
}

// greet tells the person at the terminal where to go.
func greet(cfg config, stdout io.Writer, addr net.Addr) {
	url := "http://" + addr.String()
	line := func(format string, args ...any) {
		_, _ = fmt.Fprintf(stdout, format+"\n", args...) // Without a terminal there is nobody to greet.
	}
	line("Parley is listening on %s (%s mode, version %s)", url, cfg.Mode, version())
	if cfg.Mode == development {
		line("  GraphiQL   %s/graphiql", url)
	}
	line("  GraphQL    %s/graphql", url)
	if cfg.Mode == development {
		line("  Schema     %s/schema.graphql", url)
	}
	if cfg.DatabaseURL.IsZero() {
		line("  Database   SQLite, %s", store.SQLitePath(cfg.DataDir))
	} else {
		line("  Database   Postgres")
	}
	if cfg.OpenAIBaseURL != "" {
		line("  Models     %s", cfg.OpenAIBaseURL)
	}
	if cfg.ElizaListed() {
		line("  Models     %q: %s", eliza.Model, eliza.Description)
		if cfg.OpenAIBaseURL == "" {
			line("             Set OPENAI_API_KEY or OPENAI_BASE_URL to talk to a real model.")
		}
	}
	if cfg.SignUpOpen {
		line("  Sign-up    open")
	} else {
		line("  Sign-up    closed; make accounts with: parley user add EMAIL")
	}
}
