package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"parley/ent"
	"parley/graph/model"
)

// asker looks through objects and puts the keys of what is selected of them on one level,
// which it makes when there is a key.
type asker struct {
	resolver *Resolver
	op       *graphql.OperationContext // Nil outside of an operation: nothing is selected.
	level    *level
}

func newAsker(ctx context.Context, r *Resolver) asker {
	a := asker{resolver: r}
	if graphql.HasOperationContext(ctx) {
		a.op = graphql.GetOperationContext(ctx)
	}
	return a
}

// on returns the level to put a key on.
func (a *asker) on() *level {
	if a.level == nil {
		a.level = newLevel(a.resolver)
	}
	return a.level
}

// asked returns the level with all keys.
func (a *asker) asked() *level {
	if a.level == nil {
		return noLevel
	}
	return a.level
}

// askOf puts the keys of what is selected of an object or a list on a level. It reports
// whether it knows this kind of object.
func (a *asker) askOf(value any, selected ast.SelectionSet) bool {
	switch v := value.(type) {
	case *ent.Conversation:
		a.askOfConversation(v, selected)
	case *ent.Message:
		a.askOfMessage(v, selected)
	case *ent.Summary:
		a.askOfSummary(v, selected)
	case *model.MessageContext:
		a.askOfContext(v, selected)
	case *model.ConversationConnection:
		a.askOfConversations(v, selected)
	case []*ent.Message: // Those of a payload.
		for _, m := range v {
			a.askOfMessage(m, selected)
		}
	case []*model.MessageEdge:
		a.askOfEdges(v, selected)
	case []model.Node:
		for _, node := range v {
			a.askOf(node, selected)
		}
	default:
		return false
	}
	return true
}

// collect returns the fields that are selected of an object, which is of these types.
func (a *asker) collect(selected ast.SelectionSet, types []string) []graphql.CollectedField {
	if a.op == nil || len(selected) == 0 {
		return nil
	}
	return graphql.CollectFields(a.op, selected, types)
}

// typesOf lists, for each object whose fields are looked at, what a fragment on it may be
// of: the object and its interfaces.
var typesOf = map[string][]string{
	"Query":                  {"Query"},
	"Conversation":           {"Conversation", "Node"},
	"ConversationConnection": {"ConversationConnection"},
	"ConversationEdge":       {"ConversationEdge"},
	"Message":                {"Message", "Node"},
	"MessageConnection":      {"MessageConnection"},
	"MessageEdge":            {"MessageEdge"},
	"MessageContext":         {"MessageContext"},
	"MessageDelta":           {"MessageDelta", "MessageEvent", "ConversationEvent"},
	"MessageReasoningDelta":  {"MessageReasoningDelta", "MessageEvent", "ConversationEvent"},
	"Summary":                {"Summary", "Node"},
}
