package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"

	"parley/internal/auth"
	"parley/internal/bus"
	"parley/internal/catalog"
	"parley/internal/chat"
	"parley/internal/fact"
	"parley/internal/metrics"
	"parley/internal/reply"
	"parley/internal/session"
	"parley/internal/store"
	"parley/internal/trace"
	"parley/internal/transport"
	"parley/internal/upstream"
	"parley/internal/version"
)

// server is the running program, from the database up.
type server struct {
	cfg     config
	log     *slog.Logger
	store   *store.Store
	bus     fact.Bus
	wire    reply.Wire // Nil without NATS.
	nats    *bus.NATS  // The bus, with NATS.
	local   *bus.Local // The bus, without NATS.
	auth    *auth.Service
	replies *reply.Engine
	// upstreams are the model servers by name.
	upstreams map[string]*upstream.Client
	chat      *chat.Service
	graphql   *transport.Server
	sessions  *session.Handler
	peers     *peers        // Nil on SQLite, where there are none.
	models    *modelWatch   // Nil without a model server.
	tracer    *trace.Tracer // Nil: spans are made for nobody.
}

// serve runs until ctx ends, then shuts down in order. It answers from the beginning:
// that it is not ready, until it is.
func serve(ctx context.Context, cfg config, log *slog.Logger, stdout io.Writer) (err error) {
	// What the server starts must outlive the signal that ends it: the shutdown
	// decides the order.
	base := context.WithoutCancel(ctx)
	// The first line, so that whoever reads a log knows of which binary it is.
	running := version.Get()
	log.InfoContext(base, "starting", "version", running.Number, "commit", running.Commit, "go", running.Go)
	listener, err := listen("PARLEY_ADDR", cfg.Addr, "127.0.0.1:8081")
	if err != nil {
		return err
	}
	ready := newReadiness()
	shown := metrics.New(version.Get().Number, ready.isReady)
	closeMetrics, err := serveMetrics(base, cfg, shown, log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer closeMetrics()
	graphql, sessions := newEntrance(cfg, log), &entrance{closed: session.New(session.Config{Log: log})}
	web := newWebServer(base, routes(cfg, log, ready, graphql, sessions), log)
	defer func() { _ = web.Close() }() // After an orderly shutdown there is nothing left to close.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- web.Serve(framed{listener})
		cancel()
	}()

	tracer, endTraces, err := startTraces(base, cfg, log)
	if err != nil {
		return err
	}
	defer endTraces()
	greeting := sync.OnceFunc(func() { greet(cfg, stdout, listener.Addr()) })
	s, closeAll, err := boot(ctx, cfg, log, tracer, func() {
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
		sessions.open(s.withClientAddr(s.sessions))
		ready.open(s.health)
		s.show(shown)
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

// open makes the rooms, each on those before it, and closes what it has opened when one
// cannot be made. Nothing runs yet.
func open(
	ctx context.Context, cfg config, log *slog.Logger, tracer *trace.Tracer,
) (_ *server, closeAll func() error, err error) {
	var opened closers
	defer func() {
		if err != nil {
			err = errors.Join(err, opened.close())
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
	models, err := newModels(cfg, log)
	if err != nil {
		return nil, nil, err
	}

	db, closeDatabase, err := openDatabase(ctx, cfg, log)
	if err != nil {
		return nil, nil, err
	}
	opened.add(closeDatabase)
	s := &server{cfg: cfg, log: log, store: db, models: models.watch, upstreams: models.clients, tracer: tracer}
	closeBus, err := s.openBus(ctx)
	if err != nil {
		return nil, nil, err
	}
	opened.add(closeBus)
	if s.auth, err = newAuth(cfg, keys, db, s.bus, log); err != nil {
		return nil, nil, err
	}
	s.sessions = newSessions(cfg, keys, s.auth, log)
	replies := repliesConfig(cfg, keys, models.catalog, tracer)
	replies.Asides.Spares = models.makesNoSummaries
	if err := replies.Validate(); err != nil {
		return nil, nil, err
	}
	s.replies = reply.New(replies, db, models.router, s.bus, s.wire, log)
	if !cfg.DatabaseURL.IsZero() {
		s.peers = newPeers(replies.Keys, s.replies.ReadPeers, log)
	}
	s.chat, err = chat.New(chat.Config{
		WaitLimit:           cfg.WaitLimit,
		MaxRunning:          cfg.MaxRunning,
		SendsPerMinute:      cfg.SendsPerMinute,
		TokensPerDay:        int(cfg.TokensPerDay),
		ConversationsPerDay: int(cfg.ConversationsPerDay),
		BytesPerUser:        int(cfg.BytesPerUser),
		MaxReplies:          cfg.MaxReplies,
		MaxBacklog:          cfg.QueueAge,
		MaxMessageBytes:     cfg.MaxMessage,
		MaxSystemBytes:      cfg.MaxSystem,
		MaxPromptBytes:      cfg.MaxPrompt,
	}, db, s.replies, models.catalog, s.bus, log)
	if err != nil {
		return nil, nil, err
	}
	s.graphql = s.newGraphQL(documents)
	return s, opened.close, nil
}

func repliesConfig(
	cfg config, keys *auth.Keyring, windows reply.Windows, tracer *trace.Tracer,
) reply.Config {
	return reply.Config{
		Address:          cfg.Addr,
		Keys:             keys.Fingerprints(),
		CountedModels:    countedModels(cfg),
		SameModel:        catalog.Same,
		Windows:          windows,
		Context:          cfg.Context,
		Tracer:           tracer,
		Lease:            cfg.Lease,
		ReplyLimit:       cfg.ReplyLimit,
		MaxReplyBytes:    maxReplyBytes,
		MaxPromptBytes:   cfg.MaxPrompt,
		Checkpoint:       checkpointEvery,
		Asides:           reply.Asides{TitleModel: cfg.TitleModel, TokensPerDay: int(cfg.TokensPerDay)},
		MaxLag:           cfg.QueueAge,
		InterruptOnCrash: cfg.OnCrash == crashInterrupt,
		SoleReplica:      cfg.DatabaseURL.IsZero(),
	}
}

// closers close what was opened, the last one first.
type closers []func() error

func (c *closers) add(closeOne func() error) { *c = append(*c, closeOne) }

func (c *closers) close() error {
	var err error
	for _, closeOne := range slices.Backward(*c) {
		err = errors.Join(err, closeOne())
	}
	return err
}
