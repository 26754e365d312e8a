package graph

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"parley/ent"
	"parley/internal/budget"
	"parley/internal/pid"
)

// A list of N parents loads its children with one query a field, not with N. Nothing waits
// to see whether more keys come: when a resolver has its objects, what is selected of them
// is known from the document, so the keys of all of them are put on one level, and the
// first field that asks loads the level. What is selected of the children goes onto the
// next level, before any of their fields is resolved.

// level is what the selected fields of some objects ask for, on one depth of the document.
// An asker puts keys on it; then it is loaded once, by the first field that needs one.
type level struct {
	resolver *Resolver

	users         batch[pid.ID, *ent.User]
	conversations batch[pid.ID, *ent.Conversation]
	messages      batch[messageKey, *ent.Message]
	systemPrompts batch[pid.ID, string]
	running       batch[pid.ID, *ent.Message]
	queued        batch[pid.ID, []*ent.Message]
	counts        batch[pid.ID, int]
	pages         batch[pageKey, pageResult]
	summaries     batch[pid.ID, *ent.Summary]
	withheld      batch[pid.ID, bool]
	uses          batch[useKey, useResult]
	versions      batch[pid.ID, []pid.ID]
	versionPages  batch[pageKey, pageResult]

	begun  atomic.Bool
	loaded chan struct{} // Closed when the fields below and the values have been set.
	// below is the level of the fields that are selected of the values.
	below *level
}

// batch is the keys of one kind, and what they stand for when they have been loaded.
type batch[K comparable, V any] struct {
	asked  map[K][]ast.SelectionSet // What is selected of each value.
	values map[K]V
	err    error
}

// ask puts a key on the level of the batch.
func (b *batch[K, V]) ask(key K, selected ast.SelectionSet) {
	if b.asked == nil {
		b.asked = make(map[K][]ast.SelectionSet)
	}
	for _, known := range b.asked[key] {
		if len(known) == len(selected) && (len(known) == 0 || &known[0] == &selected[0]) {
			return // Another object with the same child, reached by the same field.
		}
	}
	b.asked[key] = append(b.asked[key], selected)
}

func (b *batch[K, V]) has(key K) bool {
	_, ok := b.asked[key]
	return ok
}

// get returns the value of a key, and whether there is one. of says which batch of a level
// the key belongs to. A key that nobody has put on the level of the field is loaded alone.
func get[K comparable, V any](
	ctx context.Context, r *Resolver, of func(*level) *batch[K, V], key K,
) (value V, found bool, err error) {
	s := scopeOf(ctx)
	l := s.own
	if l == nil || !of(l).has(key) {
		l = newLevel(r)
		var selected ast.SelectionSet
		if field := graphql.GetFieldContext(ctx); field != nil && field.Field.Field != nil {
			selected = field.Field.Selections
		}
		of(l).ask(key, selected)
	}
	if err := l.load(ctx); err != nil {
		return value, false, err
	}
	s.below = l.below
	value, found = of(l).values[key]
	return value, found, of(l).err
}

func newLevel(r *Resolver) *level { return &level{resolver: r, loaded: make(chan struct{})} }

// noLevel is below objects of which nothing is selected that needs a level.
var noLevel = &level{}

// load loads the level, or waits until another goroutine has. It returns an error when ctx
// ends first.
func (l *level) load(ctx context.Context) error {
	if l.begun.CompareAndSwap(false, true) {
		defer close(l.loaded)
		l.run(ctx)
		return nil
	}
	select {
	case <-l.loaded:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run loads all batches at the same time, and fills the level below.
func (l *level) run(ctx context.Context) {
	r := l.resolver
	var all sync.WaitGroup
	fill(ctx, &all, &l.users, r.loadUsers)
	fill(ctx, &all, &l.conversations, r.loadConversations)
	fill(ctx, &all, &l.messages, r.loadMessages)
	fill(ctx, &all, &l.systemPrompts, r.loadSystemPrompts)
	fill(ctx, &all, &l.running, r.loadRunning)
	fill(ctx, &all, &l.queued, r.loadQueued)
	fill(ctx, &all, &l.counts, r.loadCounts)
	fill(ctx, &all, &l.pages, r.loadPages)
	fill(ctx, &all, &l.summaries, r.loadSummaries)
	fill(ctx, &all, &l.withheld, r.loadWithheld)
	fill(ctx, &all, &l.uses, r.loadUses)
	fill(ctx, &all, &l.versions, r.loadVersions)
	fill(ctx, &all, &l.versionPages, r.loadVersionPages)
	all.Wait()

	below := newAsker(ctx, r)
	descend(&l.conversations, func(_ pid.ID, c *ent.Conversation, s ast.SelectionSet) { below.askOf(c, s) })
	descend(&l.messages, func(_ messageKey, m *ent.Message, s ast.SelectionSet) { below.askOf(m, s) })
	descend(&l.running, func(_ pid.ID, m *ent.Message, s ast.SelectionSet) { below.askOf(m, s) })
	descend(&l.summaries, func(_ pid.ID, v *ent.Summary, s ast.SelectionSet) { below.askOf(v, s) })
	descend(&l.queued, func(_ pid.ID, list []*ent.Message, s ast.SelectionSet) {
		for _, m := range list {
			below.askOf(m, s)
		}
	})
	descend(&l.versionPages, func(_ pageKey, p pageResult, s ast.SelectionSet) { below.askOfVersions(p.page, s) })
	descend(&l.pages, func(k pageKey, p pageResult, s ast.SelectionSet) { below.askOfPage(k.id, p.page, s) })
	l.below = below.asked()
}

// fill loads a batch in a goroutine of its own, where the executor recovers nothing.
func fill[K comparable, V any](
	ctx context.Context, all *sync.WaitGroup, b *batch[K, V], load func(context.Context, []K) (map[K]V, error),
) {
	if len(b.asked) == 0 {
		return
	}
	all.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				b.err = recovered(ctx, v)
			}
		}()
		keys := make([]K, 0, len(b.asked))
		for k := range b.asked {
			keys = append(keys, k)
		}
		b.values, b.err = budget.Reading(ctx, func(ctx context.Context) (map[K]V, error) { return load(ctx, keys) })
	})
}

// descend calls ask for each value and each set of what is selected of it.
func descend[K comparable, V any](b *batch[K, V], ask func(key K, value V, selected ast.SelectionSet)) {
	for key, value := range b.values {
		for _, selected := range b.asked[key] {
			ask(key, value, selected)
		}
	}
}

// recovered hands a panic to the operation's recover function. What it returns may become
// the error of several fields, so it has no path yet: the executor gives each its own.
func recovered(ctx context.Context, v any) error {
	if graphql.HasOperationContext(ctx) {
		return graphql.GetOperationContext(ctx).RecoverFunc(ctx, v)
	}
	return fmt.Errorf("panic: %v", v)
}

// scope ties a field to its levels. It belongs to the goroutine that resolves the field,
// and afterwards to the fields below, which only read it.
type scope struct {
	own   *level // Holds the key of this field, if somebody above has put it there.
	below *level // Holds the keys of the fields below. Nil: nobody has looked yet.
}

type scopeKey struct{}

func scopeOf(ctx context.Context) *scope {
	if s, ok := ctx.Value(scopeKey{}).(*scope); ok {
		return s
	}
	return &scope{} // Without the middleware each field loads alone.
}

// withBatches is the operation middleware that lets lists of N parents load their
// children with one query a field, and has an answer tell one state of an object.
func (r *Resolver) withBatches(
	ctx context.Context, told *seen, next graphql.OperationHandler,
) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	inner := op.ResolverMiddleware
	op.ResolverMiddleware = func(ctx context.Context, next graphql.Resolver) (any, error) {
		field := graphql.GetFieldContext(ctx)
		if len(field.Field.Selections) == 0 && !field.IsResolver {
			return inner(ctx, next) // Almost all fields are like this.
		}
		if field.Object == "Mutation" {
			told.forget() // One field after the other, and each has a state of its own.
		}
		return r.resolveField(ctx, field, func(ctx context.Context) (any, error) {
			value, err := inner(ctx, next)
			if err == nil {
				value = told.first(ctx, r, value, field.Field.Selections)
			}
			return value, err
		})
	}
	s := &scope{}
	if op.Operation.Operation == ast.Query {
		a := newAsker(ctx, r)
		a.askOfQuery(op.Operation.SelectionSet)
		s.below = a.asked()
	}
	return next(context.WithValue(ctx, scopeKey{}, s))
}

// resolveField resolves a field and sees to it that the keys of the fields below are on a
// level. A field that only hands on a part of an object has been looked through with it,
// but for those of payloads and events, whose objects come one by one.
func (r *Resolver) resolveField(ctx context.Context, field *graphql.FieldContext, next graphql.Resolver) (any, error) {
	above := scopeOf(ctx)
	if !field.IsResolver && above.below != nil {
		return next(ctx)
	}
	s := &scope{own: above.below}
	value, err := next(context.WithValue(ctx, scopeKey{}, s))
	if err == nil && s.below == nil && len(field.Field.Selections) > 0 {
		a := newAsker(ctx, r)
		if a.askOf(value, field.Field.Selections) {
			s.below = a.asked()
		}
	}
	return value, err
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
