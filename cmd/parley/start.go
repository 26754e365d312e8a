package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"parley/internal/store"
	"parley/internal/trace"
	"parley/internal/transport"
)

// listen takes the address that a variable names, which has an example of another one.
func listen(variable, addr, another string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("another program listens on %s; set %s to another address, such as %s", addr, variable,
			another)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", variable, err)
	}
	return listener, nil
}

// newWebServer returns a server of HTTP whose requests have a context derived from base.
func newWebServer(base context.Context, handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           refuseUnclear(handler),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext:       withConn,
		ConnState:         takenOver,
		BaseContext:       func(net.Listener) context.Context { return base },
	}
}

// entrance leads inside once there is something, and refuses until then. It is safe
// for concurrent use.
type entrance struct {
	closed http.Handler
	inside atomic.Pointer[http.Handler]
}

func newEntrance(cfg config, log *slog.Logger) *entrance {
	return &entrance{closed: transport.Unavailable(transport.Config{
		RefuseOrigin: cfg.refusesOrigin,
		Ended:        tellAccess(cfg, log),
		Log:          log,
	}, "The server is starting.")}
}

func (e *entrance) open(inside http.Handler) { e.inside.Store(&inside) }

// ServeHTTP implements http.Handler.
func (e *entrance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if inside := e.inside.Load(); inside != nil {
		(*inside).ServeHTTP(w, r)
		return
	}
	e.closed.ServeHTTP(w, r)
}

// How often the start looks for a database that is away, and how often it says so:
// when something else is wrong with it than before, but not every second.
const (
	retryStart  = time.Second
	remindOften = 10 * time.Second
	remindSame  = time.Minute
)

// boot opens the server and starts it. While Postgres is away it calls waiting, and
// tries again until it is there. It returns nothing at all when ctx ends before.
func boot(
	ctx context.Context, cfg config, log *slog.Logger, tracer *trace.Tracer, waiting func(),
) (*server, func() error, error) {
	began := time.Now()
	var said string
	var saidAt time.Time
	for {
		s, closeAll, err := bootOnce(ctx, cfg, log, tracer)
		switch {
		case err == nil:
			return s, closeAll, nil
		case ctx.Err() != nil:
			return nil, nil, nil // Told to end, which is what the error says in its way.
		case cfg.DatabaseURL.IsZero() || !store.IsOutage(err):
			return nil, nil, err
		}
		waiting()
		silent := time.Since(saidAt)
		if text := err.Error(); silent >= remindSame || silent >= remindOften && text != said {
			log.WarnContext(ctx, "waiting for the database", "err", err, "since", time.Since(began).Round(time.Second))
			said, saidAt = text, time.Now()
		}
		select {
		case <-ctx.Done():
			return nil, nil, nil // As above.
		case <-time.After(retryStart):
		}
	}
}

// bootOnce opens the server and starts it, or leaves nothing behind.
func bootOnce(
	ctx context.Context, cfg config, log *slog.Logger, tracer *trace.Tracer,
) (*server, func() error, error) {
	s, closeStore, err := open(ctx, cfg, log, tracer)
	if err != nil {
		return nil, nil, err
	}
	closeRooms, err := s.start(context.WithoutCancel(ctx))
	if err != nil {
		return nil, nil, errors.Join(err, closeStore())
	}
	return s, func() error {
		closeRooms()
		return closeStore()
	}, nil
}
