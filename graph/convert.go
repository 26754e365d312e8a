package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"parley/ent"
	"parley/ent/message"
	"parley/graph/model"
	"parley/internal/auth"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/reply"
)

func authPayload(t *auth.Tokens, err error) (*model.AuthPayload, error) {
	if err != nil {
		return nil, err
	}
	return &model.AuthPayload{
		AccessToken:  t.AccessToken,
		RefreshToken: t.RefreshToken,
		ExpiresAt:    t.ExpiresAt,
		User:         t.User,
	}, nil
}

func fromInput(in *model.ParametersInput) *reply.Parameters {
	if in == nil {
		return nil
	}
	p := &reply.Parameters{
		Temperature:      in.Temperature.Value(),
		TopP:             in.TopP.Value(),
		MaxTokens:        in.MaxTokens.Value(),
		Stop:             in.Stop.Value(),
		Seed:             in.Seed.Value(),
		PresencePenalty:  in.PresencePenalty.Value(),
		FrequencyPenalty: in.FrequencyPenalty.Value(),
	}
	if f := in.ResponseFormat.Value(); f != nil {
		p.ResponseFormat = &reply.ResponseFormat{
			Type:   reply.FormatType(f.Type),
			Name:   deref(f.Name.Value()),
			Schema: deref(f.Schema.Value()),
			Strict: deref(f.Strict.Value()),
		}
	}
	return p
}

func toModel(p reply.Parameters) *model.Parameters {
	out := &model.Parameters{
		Temperature:      p.Temperature,
		TopP:             p.TopP,
		MaxTokens:        p.MaxTokens,
		Stop:             p.Stop,
		Seed:             p.Seed,
		PresencePenalty:  p.PresencePenalty,
		FrequencyPenalty: p.FrequencyPenalty,
	}
	if f := p.ResponseFormat; f != nil {
		out.ResponseFormat = &model.ResponseFormat{Type: model.ResponseFormatType(f.Type), Strict: f.Strict}
		if f.Type == reply.FormatJSONSchema {
			out.ResponseFormat.Name, out.ResponseFormat.Schema = &f.Name, &f.Schema
		}
	}
	return out
}

func patchFromInput(in model.UpdateConversationInput) chat.ConversationPatch {
	patch := chat.ConversationPatch{
		Name:         orEmpty(in.Name),
		Model:        orEmpty(in.Model),
		SystemPrompt: orEmpty(in.SystemPrompt),
		Pinned:       in.Pinned.Value(),
		Archived:     in.Archived.Value(),
	}
	if p, ok := in.Parameters.ValueOK(); ok {
		patch.Parameters = &reply.Parameters{}
		if p != nil {
			patch.Parameters = fromInput(p)
		}
	}
	return patch
}

// orEmpty tells a field that is left out (nil) from one that is null ("").
func orEmpty(o graphql.Omittable[*string]) *string {
	v, ok := o.ValueOK()
	if !ok {
		return nil
	}
	if v == nil {
		v = new(string)
	}
	return v
}

func deref[T any](p *T) T {
	var v T
	if p != nil {
		v = *p
	}
	return v
}

func (r *Resolver) conversationConnection(
	ctx context.Context, user pid.ID, filter chat.ConversationFilter, args chat.PageArgs,
) (*model.ConversationConnection, error) {
	page, err := r.Chat.ListConversations(ctx, user, filter, args)
	if err != nil {
		return nil, err
	}
	out := &model.ConversationConnection{
		Edges: make([]*model.ConversationEdge, len(page.Items)),
		Nodes: page.Items,
		Count: func(ctx context.Context) (int, error) { return r.Chat.CountConversations(ctx, user, filter) },
	}
	for i, c := range page.Items {
		out.Edges[i] = &model.ConversationEdge{Node: c, Cursor: chat.ConversationCursor(c.LastMessageAt, c.ID)}
	}
	out.PageInfo = pageInfo(page.HasNext, page.HasPrevious, len(out.Edges),
		func(i int) string { return out.Edges[i].Cursor })
	return out, nil
}

func messageConnection(page chat.Page[*ent.Message], count model.Count) *model.MessageConnection {
	out := &model.MessageConnection{
		Edges: make([]*model.MessageEdge, len(page.Items)),
		Nodes: page.Items,
		Count: count,
	}
	for i, m := range page.Items {
		out.Edges[i] = &model.MessageEdge{Node: m, Cursor: chat.MessageCursor(m.Index)}
	}
	out.PageInfo = pageInfo(page.HasNext, page.HasPrevious, len(out.Edges),
		func(i int) string { return out.Edges[i].Cursor })
	return out
}

func pageInfo(hasNext, hasPrevious bool, n int, cursor func(int) string) *model.PageInfo {
	info := &model.PageInfo{HasNextPage: hasNext, HasPreviousPage: hasPrevious}
	if n > 0 {
		first, last := cursor(0), cursor(n-1)
		info.StartCursor, info.EndCursor = &first, &last
	}
	return info
}

func usage(m *ent.Message) *model.Usage {
	if m.PromptTokens == nil || m.CompletionTokens == nil || !reply.IsFinal(m.Status) {
		return nil
	}
	return &model.Usage{
		PromptTokens:     *m.PromptTokens,
		CompletionTokens: *m.CompletionTokens,
		TotalTokens:      *m.PromptTokens + *m.CompletionTokens,
		CachedTokens:     m.CachedTokens,
		ReasoningTokens:  m.ReasoningTokens,
		Estimated:        m.UsageEstimated,
	}
}

func messageError(m *ent.Message) *model.MessageError {
	if m.ErrorCode == nil || m.Role != message.RoleASSISTANT {
		return nil
	}
	text, retryable := reply.Explain(reply.Code(*m.ErrorCode))
	return &model.MessageError{Code: *m.ErrorCode, Message: text, Retryable: retryable}
}
