package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"parley/internal/store"
)

// The reasons for which requests should not be sent here.
const (
	starting     = "starting"
	noDatabase   = "the database does not answer"
	shuttingDown = "shutting down"
)

// health is whether this process is fit for requests.
type health struct {
	// reason is why not; "" when it is.
	reason string
	// notes are what is odd all the same, or besides.
	notes []string
}

// readiness answers whether requests should be sent here. It is safe for concurrent
// use.
type readiness struct{ state atomic.Pointer[readyState] }

// readyState is why not, or how to find out.
type readyState struct {
	reason string
	look   func(context.Context) health
}

func newReadiness() *readiness {
	r := &readiness{}
	r.set(starting)
	return r
}

// set makes it say no, for a reason.
func (r *readiness) set(reason string) { r.state.Store(&readyState{reason: reason}) }

// open leaves it to a look at what there is.
func (r *readiness) open(look func(context.Context) health) { r.state.Store(&readyState{look: look}) }

// lookTimeout bounds the look at the database.
const lookTimeout = 2 * time.Second

// isReady reports whether it would say yes.
func (r *readiness) isReady() bool {
	ctx, cancel := context.WithTimeout(context.Background(), lookTimeout)
	defer cancel()
	state := r.state.Load()
	return state.reason == "" && state.look(ctx).reason == ""
}

// ServeHTTP implements http.Handler. Anybody may ask: nothing here names what is inside.
func (r *readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), lookTimeout)
	defer cancel()
	state := r.state.Load()
	found := health{reason: state.reason}
	if found.reason == "" {
		found = state.look(ctx)
	}
	status, first := http.StatusOK, "ready"
	if found.reason != "" {
		status, first = http.StatusServiceUnavailable, found.reason
	}
	var text strings.Builder
	text.WriteString(first + "\n")
	for _, note := range found.notes {
		text.WriteString("warning: " + note + "\n")
	}
	plainText(w, status, text.String())
}

// health is what is wrong with this process and with what it depends on.
func (s *server) health(ctx context.Context) health {
	if s.store.Ping(ctx) != nil {
		return health{reason: noDatabase}
	}
	h := clockHealth(s.store.Skew())
	if s.peers != nil {
		reason, notes := s.peers.health()
		if h.reason == "" {
			h.reason = reason
		}
		h.notes = append(h.notes, notes...)
	}
	if s.nats != nil {
		if why := s.nats.Distrusted(); why != "" {
			h.notes = append(h.notes, "NATS is not trusted: "+why)
		}
	}
	if note := s.models.note(); note != "" {
		h.notes = append(h.notes, note)
	}
	return h
}

// clockHealth judges how far the clock of this machine is ahead of the database's.
func clockHealth(skew time.Duration) health {
	direction := "ahead of"
	if skew < 0 {
		direction = "behind"
	}
	text := fmt.Sprintf("the clock of this machine is %v %s the database's", skew.Abs().Round(time.Second), direction)
	switch {
	case skew.Abs() > store.SkewAllowed:
		return health{reason: text}
	case skew.Abs() >= store.SkewNoted:
		return health{notes: []string{text}}
	}
	return health{}
}
