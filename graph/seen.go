package graph

import (
	"context"
	"slices"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"

	"parley/ent"
	"parley/internal/pid"
	"parley/internal/reply"
)

// seen lets an answer tell one state of an object, wherever the object stands in it: a
// reply goes on while the answer is made, and a normalizing client that finds two texts
// under one id keeps either, or warns. What was found first is told each time. Only what
// can change by itself is kept: conversations, and replies that have not ended.
type seen struct {
	mu            sync.Mutex // guards the fields below; fields are resolved side by side
	conversations map[pid.ID]*ent.Conversation
	// Replies are apart that were read with their texts and those without. The first one is
	// not in the map: the event of a delta has one, and is made for each token.
	firstKey   messageKey
	firstReply *ent.Message
	replies    map[messageKey]*ent.Message
}

// forget begins another answer.
func (s *seen) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conversations, s.firstReply, s.replies = nil, nil, nil
}

// first returns for the value of a field the one that this answer has told already. What
// is selected of it says whether a reply needs its texts.
func (s *seen) first(ctx context.Context, r *Resolver, value any, selected ast.SelectionSet) any {
	switch v := value.(type) {
	case *ent.Conversation:
		if v != nil {
			return s.conversation(v)
		}
	case *ent.Message:
		if v != nil {
			return s.message(ctx, r, v, selected)
		}
	case []*ent.Message:
		return s.list(ctx, r, v, selected)
	}
	return value
}

// list is first for each of some messages. The list itself may be shared.
func (s *seen) list(ctx context.Context, r *Resolver, items []*ent.Message, selected ast.SelectionSet) []*ent.Message {
	out, own := items, false
	for i, m := range items {
		if m == nil {
			continue
		}
		known := s.message(ctx, r, m, selected)
		if known == m {
			continue
		}
		if !own {
			out, own = slices.Clone(items), true
		}
		out[i] = known
	}
	return out
}

func (s *seen) conversation(c *ent.Conversation) *ent.Conversation {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.conversations[c.ID]; known != nil {
		return known
	}
	if s.conversations == nil {
		s.conversations = make(map[pid.ID]*ent.Conversation)
	}
	s.conversations[c.ID] = c
	return c
}

func (s *seen) message(ctx context.Context, r *Resolver, m *ent.Message, selected ast.SelectionSet) *ent.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	if reply.IsFinal(m.Status) && s.firstReply == nil {
		return m
	}
	a := newAsker(ctx, r)
	key := messageKey{m.ID, a.texts(selected)}
	if s.firstReply != nil && s.firstKey == key {
		return s.firstReply
	}
	if known := s.replies[key]; known != nil {
		return known
	}
	if reply.IsFinal(m.Status) {
		return m
	}
	if s.firstReply == nil {
		s.firstKey, s.firstReply = key, m
		return m
	}
	if s.replies == nil {
		s.replies = make(map[messageKey]*ent.Message)
	}
	s.replies[key] = m
	return m
}
