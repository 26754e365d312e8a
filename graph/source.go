package graph

import (
	"context"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"parley/internal/direct"
	"parley/internal/reply"
)

// source is where the events of a subscription come from. gqlgen reads them from a channel,
// which would take a goroutine that fills it, and its stack, for each feed. Instead whoever
// asks for a response waits for the event first, and puts it into the channel's only place.
// So an event is looked for when the transport has written the last one, and what comes
// meanwhile is joined where it arises.
type source struct {
	mu sync.Mutex // held while an event is waited for; guards the fields below
	// wait waits for the next event, and returns false when there is none. Nil: the source
	// was not opened.
	wait func(ctx context.Context) (more bool)
	// end is called once, when there are no more events.
	end func()
	// deltas writes what needs no executor, and ready is what it has written.
	deltas deltas
	ready  *graphql.Response
}

type sourceKey struct{}

// sourceOf returns the source of the subscription that runs in ctx.
func sourceOf(ctx context.Context) *source {
	s, ok := ctx.Value(sourceKey{}).(*source)
	if !ok {
		panic("graph: the executor runs without Resolver.Around")
	}
	return s
}

// open says how to wait for events, until there are none or the operation's context ends.
func (s *source) open(wait func(ctx context.Context) (more bool), end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait, s.end = wait, end
}

// advance returns when there is an event, or its end, in the channel; or the response to
// one that has been written already. It is given the context of the operation: that of the
// field, and what the field was asked with, would be held for as long as the feed is.
func (s *source) advance(ctx context.Context) (written *graphql.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = nil
	if s.wait != nil && !s.wait(ctx) {
		s.finish()
	}
	return s.ready
}

// direct writes an update to the client, while advance waits and holds mu. Whatever goes wrong
// does so again where it is told: advance comes to it when this returns false.
func (s *source) direct(u *reply.Update, write direct.Writer) (written bool) {
	defer func() {
		if recover() != nil {
			written = false
		}
	}()
	if u == nil {
		return false
	}
	response := s.deltas.write(u)
	return response != nil && write(response.Data)
}

func (s *source) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish()
}

// finish is called with mu held, more than once.
func (s *source) finish() {
	if s.end != nil {
		s.end()
	}
	s.wait, s.end = nil, nil
}

// Around is the operation middleware that the resolvers need: lists load their children
// with few queries, an answer tells one state of an object, and feeds take no goroutine.
func (r *Resolver) Around(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	told := &seen{}
	if graphql.GetOperationContext(ctx).Operation.Operation != ast.Subscription {
		return r.withBatches(ctx, told, next)
	}
	s := &source{deltas: deltas{op: graphql.GetOperationContext(ctx)}}
	respond := r.withBatches(context.WithValue(ctx, sourceKey{}, s), told, next)
	context.AfterFunc(ctx, s.close) // Nobody may ask any more.
	return func(ctx context.Context) *graphql.Response {
		if written := s.advance(ctx); written != nil {
			return written
		}
		defer told.forget() // It has been encoded, and a feed that waits holds no rows.
		return respond(ctx)
	}
}
