package graph

import (
	"context"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"parley/ent"
	"parley/graph/model"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/reply"
)

func contextFromInput(in *model.ContextSettingsInput) *chat.ContextInput {
	if in == nil {
		return nil
	}
	return &chat.ContextInput{
		Policy:      string(in.Policy),
		Turns:       in.Turns.Value(),
		LimitTokens: in.LimitTokens.Value(),
	}
}

func contextSettings(text string) (*model.ContextSettings, error) {
	s, err := chat.DecodeContext(text)
	if err != nil || s.Policy == "" {
		return nil, err
	}
	return &model.ContextSettings{Policy: model.ContextPolicy(s.Policy), Turns: s.Turns,
		LimitTokens: s.LimitTokens}, nil
}

func messageContext(m *ent.Message) *model.MessageContext {
	if m.ContextPolicy == nil || !reply.IsFinal(m.Status) {
		return nil
	}
	return &model.MessageContext{
		Policy:       model.ContextPolicy(*m.ContextPolicy),
		FromIndex:    deref(m.ContextFromIndex),
		MessageCount: deref(m.ContextCount),
		DroppedCount: deref(m.ContextDropped),
		LimitTokens:  m.ContextLimit,
		CutByServer:  m.CutByServer,
		SummaryID:    deref(m.ContextSummaryID),
	}
}

func citations(text string) ([]*model.Citation, error) {
	list, err := reply.DecodeCitations(text)
	out := make([]*model.Citation, len(list))
	for i, c := range list {
		out[i] = &model.Citation{URL: c.URL, Start: c.Start, End: c.End}
		if c.Title != "" {
			out[i].Title = &list[i].Title
		}
	}
	return out, err
}

func omittedOutput(words string) []model.OmittedOutput {
	out := []model.OmittedOutput{}
	for _, word := range strings.Fields(words) {
		out = append(out, model.OmittedOutput(word))
	}
	return out
}

// useKey asks how full a conversation is for a model; "" is the one that answers.
type useKey struct {
	id    pid.ID
	model string
}

// useResult is what a gauge shows, or why it shows nothing: that is the fault of one field.
type useResult struct {
	use chat.ContextUse
	err error
}

func usesOf(l *level) *batch[useKey, useResult] { return &l.uses }

// loadUses asks one after the other: the gauges of a long list take one connection, not all.
func (r *Resolver) loadUses(ctx context.Context, keys []useKey) (map[useKey]useResult, error) {
	return own(ctx, func(user pid.ID) (map[useKey]useResult, error) {
		out := make(map[useKey]useResult, len(keys))
		for _, k := range keys {
			use, err := r.Chat.ContextUse(ctx, user, k.id, k.model)
			out[k] = useResult{use, err}
		}
		return out, nil
	})
}

func (r *Resolver) contextUse(ctx context.Context, key useKey) (*model.ContextUse, error) {
	result, _, err := get(ctx, r, usesOf, key)
	if err == nil {
		err = result.err
	}
	if err != nil {
		return nil, err
	}
	u := result.use
	return &model.ContextUse{UsedTokens: u.UsedTokens, Measured: u.Measured, LimitTokens: u.LimitTokens,
		ReservedTokens: u.ReservedTokens, DroppedCount: u.DroppedCount}, nil
}

func summariesOf(l *level) *batch[pid.ID, *ent.Summary] { return &l.summaries }

func (r *Resolver) loadSummaries(ctx context.Context, ids []pid.ID) (map[pid.ID]*ent.Summary, error) {
	return own(ctx, func(user pid.ID) (map[pid.ID]*ent.Summary, error) {
		items, err := r.Chat.Summaries(ctx, user, ids)
		return byID(items, func(s *ent.Summary) pid.ID { return s.ID }), err
	})
}

// askOfContext puts the summary of a context on a level.
func (a *asker) askOfContext(c *model.MessageContext, selected ast.SelectionSet) {
	if c == nil || c.SummaryID == "" {
		return
	}
	for _, f := range a.collect(selected, typesOf["MessageContext"]) {
		if f.Name == "summary" {
			a.on().summaries.ask(c.SummaryID, f.Selections)
		}
	}
}

// askOfSummary puts the keys of what is selected of a summary on a level.
func (a *asker) askOfSummary(s *ent.Summary, selected ast.SelectionSet) {
	if s == nil {
		return
	}
	for _, f := range a.collect(selected, typesOf["Summary"]) {
		if f.Name == "reachesTo" {
			a.askMessage(s.MessageID, f.Selections)
		}
	}
}

func withheldOf(l *level) *batch[pid.ID, bool] { return &l.withheld }

func (r *Resolver) loadWithheld(ctx context.Context, questions []pid.ID) (map[pid.ID]bool, error) {
	return own(ctx, func(user pid.ID) (map[pid.ID]bool, error) { return r.Chat.Withheld(ctx, user, questions) })
}

// sentToModel asks the database about a question only when its row leaves it open.
func (r *Resolver) sentToModel(ctx context.Context, m *ent.Message) (bool, error) {
	sent, open := chat.SentToModel(m)
	if !open {
		return sent, nil
	}
	withheld, _, err := get(ctx, r, withheldOf, m.ID)
	return !withheld, err
}

// handOn lets the fields below ask on the level of this field: what it gives is a part of the
// object above it, with which the keys were put there.
func handOn(ctx context.Context) {
	s := scopeOf(ctx)
	s.below = s.own
}
