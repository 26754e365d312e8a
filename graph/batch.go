package graph

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"parley/ent"
	"parley/internal/chat"
	"parley/internal/pid"
)

// batchWindow is how long the first of several equal fields waits for the others.
// With no wait at all each would run a query of its own.
const batchWindow = time.Millisecond

// batch collects keys from concurrent resolvers of one operation and loads them
// together. It keeps nothing: the next batch reads anew.
type batch[K comparable, V any] struct {
	load func(ctx context.Context, keys []K) (map[K]V, error)

	mu sync.Mutex
	// open is guarded by mu.
	open *pending[K, V]
}

type pending[K comparable, V any] struct {
	keys   map[K]struct{}
	done   chan struct{}
	values map[K]V
	err    error
}

// get returns the value of a key, and whether there is one.
func (b *batch[K, V]) get(ctx context.Context, key K) (V, bool, error) {
	b.mu.Lock()
	p := b.open
	if p == nil {
		p = &pending[K, V]{keys: make(map[K]struct{}), done: make(chan struct{})}
		b.open = p
		time.AfterFunc(batchWindow, func() { b.run(ctx, p) })
	}
	p.keys[key] = struct{}{}
	b.mu.Unlock()
	select {
	case <-p.done:
		v, ok := p.values[key]
		return v, ok, p.err
	case <-ctx.Done():
		var none V
		return none, false, context.Cause(ctx)
	}
}

func (b *batch[K, V]) run(ctx context.Context, p *pending[K, V]) {
	b.mu.Lock()
	b.open = nil
	b.mu.Unlock()
	defer close(p.done)
	// This runs in a goroutine of its own, where the executor recovers nothing.
	defer func() {
		if v := recover(); v != nil {
			p.err = recovered(ctx, v)
		}
	}()
	keys := make([]K, 0, len(p.keys))
	for k := range p.keys {
		keys = append(keys, k)
	}
	p.values, p.err = b.load(ctx, keys)
}

// recovered hands a panic to the operation's recover function.
func recovered(ctx context.Context, v any) error {
	if graphql.HasOperationContext(ctx) {
		return graphql.GetOperationContext(ctx).Recover(ctx, v)
	}
	return fmt.Errorf("panic: %v", v)
}

// pageKey asks for one page of one conversation's messages. It is chat.PageArgs in
// a form that can be compared.
type pageKey struct {
	id            pid.ID
	first, last   optional[int]
	after, before optional[string]
}

type optional[T comparable] struct {
	value T
	given bool
}

func toOptional[T comparable](p *T) optional[T] {
	if p == nil {
		return optional[T]{}
	}
	return optional[T]{*p, true}
}

func (o optional[T]) pointer() *T {
	if !o.given {
		return nil
	}
	return &o.value
}

func newPageKey(id pid.ID, a chat.PageArgs) pageKey {
	return pageKey{
		id:    id,
		first: toOptional(a.First), last: toOptional(a.Last),
		after: toOptional(a.After), before: toOptional(a.Before),
	}
}

func (k pageKey) args() chat.PageArgs {
	return chat.PageArgs{
		First: k.first.pointer(), Last: k.last.pointer(),
		After: k.after.pointer(), Before: k.before.pointer(),
	}
}

// batches are the batches of one operation.
type batches struct {
	users         batch[pid.ID, *ent.User]
	conversations batch[pid.ID, *ent.Conversation]
	messages      batch[pid.ID, *ent.Message]
	systemPrompts batch[pid.ID, string]
	running       batch[pid.ID, *ent.Message]
	counts        batch[pid.ID, int]
	pages         batch[pageKey, pageResult]
}

type batchesKey struct{}

// WithBatches is the operation middleware that lets lists of N parents load their
// children with one query a field.
func (r *Resolver) WithBatches(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	return next(context.WithValue(ctx, batchesKey{}, r.newBatches()))
}

// batches returns those of the operation.
func (r *Resolver) batches(ctx context.Context) *batches {
	if b, ok := ctx.Value(batchesKey{}).(*batches); ok {
		return b
	}
	return r.newBatches() // Without the middleware each field loads alone.
}

func (r *Resolver) newBatches() *batches {
	b := &batches{}
	b.users.load = func(ctx context.Context, ids []pid.ID) (map[pid.ID]*ent.User, error) {
		return own(ctx, func(user pid.ID) (map[pid.ID]*ent.User, error) {
			items, err := r.Accounts.Users(ctx, user, ids)
			return byID(items, func(u *ent.User) pid.ID { return u.ID }), err
		})
	}
	b.conversations.load = func(ctx context.Context, ids []pid.ID) (map[pid.ID]*ent.Conversation, error) {
		return own(ctx, func(user pid.ID) (map[pid.ID]*ent.Conversation, error) {
			items, err := r.Chat.Conversations(ctx, user, ids)
			return byID(items, func(c *ent.Conversation) pid.ID { return c.ID }), err
		})
	}
	b.messages.load = func(ctx context.Context, ids []pid.ID) (map[pid.ID]*ent.Message, error) {
		return own(ctx, func(user pid.ID) (map[pid.ID]*ent.Message, error) {
			items, err := r.Chat.Messages(ctx, user, ids)
			return byID(items, func(m *ent.Message) pid.ID { return m.ID }), err
		})
	}
	b.systemPrompts.load = func(ctx context.Context, ids []pid.ID) (map[pid.ID]string, error) {
		return own(ctx, func(user pid.ID) (map[pid.ID]string, error) {
			return r.Chat.SystemPrompts(ctx, user, ids)
		})
	}
	b.running.load = func(ctx context.Context, ids []pid.ID) (map[pid.ID]*ent.Message, error) {
		return own(ctx, func(user pid.ID) (map[pid.ID]*ent.Message, error) {
			return r.Chat.RunningReplies(ctx, user, ids)
		})
	}
	b.counts.load = func(ctx context.Context, ids []pid.ID) (map[pid.ID]int, error) {
		return own(ctx, func(user pid.ID) (map[pid.ID]int, error) {
			return r.Chat.CountMessages(ctx, user, ids)
		})
	}
	b.pages.load = func(ctx context.Context, keys []pageKey) (map[pageKey]pageResult, error) {
		return own(ctx, func(user pid.ID) (map[pageKey]pageResult, error) {
			return r.loadPages(ctx, user, keys), nil
		})
	}
	return b
}

// pageResult is a page, or why there is none: arguments that make no sense are the
// fault of one field, not of all in the batch.
type pageResult struct {
	page chat.Page[*ent.Message]
	err  error
}

// loadPages runs one query for each set of arguments, which mostly is one.
func (r *Resolver) loadPages(ctx context.Context, user pid.ID, keys []pageKey) map[pageKey]pageResult {
	groups := make(map[pageKey][]pid.ID)
	for _, k := range keys {
		id := k.id
		k.id = ""
		groups[k] = append(groups[k], id)
	}
	out := make(map[pageKey]pageResult, len(keys))
	for k, ids := range groups {
		pages, err := r.Chat.ListMessages(ctx, user, ids, k.args())
		for _, id := range ids {
			k.id = id
			out[k] = pageResult{pages[id], err}
		}
	}
	return out
}

// own runs a load as the user of the operation.
func own[T any](ctx context.Context, load func(user pid.ID) (T, error)) (T, error) {
	user, err := userID(ctx)
	if err != nil {
		var none T
		return none, err
	}
	return load(user)
}

func byID[T any](items []T, id func(T) pid.ID) map[pid.ID]T {
	out := make(map[pid.ID]T, len(items))
	for _, item := range items {
		out[id(item)] = item
	}
	return out
}
