package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// The times of a shutdown after PARLEY_DRAIN. With those of the last writes and
// goodbyes it takes 30 seconds at most when that is its usual 5.
const (
	finishReplies  = 15 * time.Second
	finishRequests = 4 * time.Second
	// finishHurried is finishRequests when somebody asks twice.
	finishHurried = time.Second
)

// shutdown ends the server in the order that loses nothing: first everybody learns
// that it is not ready, and is still served for a while; then nothing new is let in,
// and sockets and streams are told to go elsewhere; running replies get time, and the
// rest is given back; whoever waited for one gets it as it stands; then the last
// requests end. A second signal cuts the waits short.
func (s *server) shutdown(ctx context.Context, ready *readiness, web *http.Server) {
	hurry, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	ready.set(shuttingDown)
	s.replies.Drain()
	s.log.InfoContext(ctx, "shutting down", "running_replies", s.replies.Running(),
		"drain", s.cfg.Drain, "at_most", s.cfg.Drain+finishReplies+finishRequests)
	drained := time.NewTimer(s.cfg.Drain)
	defer drained.Stop()
	select {
	case <-drained.C:
	case <-hurry.Done():
	}

	rest, endRest := context.WithCancel(ctx)
	defer endRest()
	var closing sync.WaitGroup
	closing.Go(func() { s.graphql.Close(rest) })
	closing.Go(func() {
		if err := web.Shutdown(rest); err != nil {
			s.log.WarnContext(ctx, "requests cut off", "err", err)
			_ = web.Close() // Only connections that did not end in time are left.
		}
	})
	replies, endReplies := context.WithTimeout(hurry, finishReplies)
	defer endReplies()
	s.replies.Stop(replies)
	limit := finishRequests
	if hurry.Err() != nil {
		limit = finishHurried
	}
	defer time.AfterFunc(limit, endRest).Stop()
	closing.Wait()
	s.log.InfoContext(ctx, "ended")
}

// onHangup answers SIGHUP, with which others have their configuration read anew: nothing
// is reloaded, and nobody is cut off for it. When the log cannot be written then, the
// terminal of the server is gone, and the server ends in order. It starts a goroutine,
// which ends with the returned function.
func onHangup(ctx context.Context, log *slog.Logger, end func()) (stop func()) {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP)
	done := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-heard:
				said := slog.NewRecord(time.Now(), slog.LevelWarn,
					"SIGHUP changes nothing: settings are read at the start, so restart the server to change them", 0)
				if err := log.Handler().Handle(ctx, said); err != nil {
					end()
				}
			}
		}
	})
	return func() {
		signal.Stop(heard)
		close(done)
		waiting.Wait()
	}
}
