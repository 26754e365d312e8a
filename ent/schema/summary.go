package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	gen "parley/ent"
	"parley/ent/summary"
	"parley/internal/pid"
)

// Summary is what a model made of a line up to one of its messages. It holds on every
// branch that has that message, and is gone with it.
type Summary struct{ ent.Schema }

// Fields of the Summary.
func (Summary) Fields() []ent.Field {
	return []ent.Field{
		idField(pid.Summary),
		ownerField(),
		field.String("conversation_id").GoType(pid.ID("")).Immutable(),
		field.String("message_id").GoType(pid.ID("")).Immutable().
			Comment("The last message it covers."),
		field.Text("content").Immutable(),
		field.String("model").Immutable(),
		createdAt(),
	}
}

// Edges of the Summary.
func (Summary) Edges() []ent.Edge {
	return []ent.Edge{
		ownerEdge("summaries"),
		edge.From("conversation", Conversation.Type).Ref("summaries").Field("conversation_id").
			Unique().Required().Immutable(),
		edge.From("message", Message.Type).Ref("summary").Field("message_id").
			Unique().Required().Immutable(),
	}
}

// Indexes of the Summary.
func (Summary) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("conversation_id", "message_id"),
		// The foreign key of the owner: Ent makes no index for it, and a cascade would scan.
		index.Fields("user_id"),
	}
}

// Policy of the Summary: its owner may make one, and throw it away. Nobody changes one.
func (Summary) Policy() ent.Policy {
	return policy{
		own: owned[*gen.SummaryQuery, *gen.SummaryMutation](summary.UserID, ent.OpCreate|anyDelete),
	}
}
