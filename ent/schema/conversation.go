package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	gen "parley/ent"
	"parley/ent/conversation"
	"parley/internal/pid"
)

// Conversation is a tree of messages with one visible line.
type Conversation struct{ ent.Schema }

// Fields of the Conversation.
func (Conversation) Fields() []ent.Field {
	return []ent.Field{
		idField(pid.Conversation),
		ownerField(),
		field.String("name").Default(""),
		field.Enum("name_source").Values("PLACEHOLDER", "AUTO", "USER").Default("PLACEHOLDER").
			Comment("Who chose the name. A name chosen by the user is never overwritten."),
		field.String("model").Optional().Nillable().
			Comment("Null: the server's default at the time of each send."),
		field.Text("parameters").Default("").
			Comment("reply.Parameters as text; empty when none is set."),
		field.Text("context_settings").Default("").
			Comment("How the context is chosen, as text; empty: as for the model, or the server."),
		field.Int("title_tries").Default(0).
			Comment("How often a model was asked for a name."),
		field.String("head_id").GoType(pid.ID("")).
			Comment("Last message of the visible line. Never null: message 0 always exists. Not a foreign key, as the two tables would need each other."),
		field.String("forked_from_id").GoType(pid.ID("")).Optional().Nillable().Immutable().
			Comment("The message it was forked from. Not a foreign key: that one may be deleted."),
		field.Int("revision").Default(0).
			Comment("How often what was said has changed otherwise than by growing. Feeds find by it what they were not told."),
		field.Bool("pinned").Default(false),
		field.Time("archived_at").Optional().Nillable(),
		field.Bool("temporary").Default(false).
			Comment("Nothing writes it yet: it is for temporary conversations, which are to come."),
		field.Time("expires_at").Optional().Nillable().
			Comment("When a temporary conversation ends. Nothing writes or reads it yet."),
		field.Time("last_message_at").Default(now),
		createdAt(),
		updatedAt(),
	}
}

// Edges of the Conversation.
func (Conversation) Edges() []ent.Edge {
	return []ent.Edge{
		ownerEdge("conversations"),
		edge.To("messages", Message.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("summaries", Summary.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of the Conversation.
func (Conversation) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id", "last_message_at", "id"),
		// The latest changes of a list, by which feeds notice what they missed.
		index.Fields("user_id", "updated_at", "id"),
		index.Fields("expires_at").Annotations(entsql.IndexWhere("expires_at IS NOT NULL")),
	}
}

// Policy of the Conversation: its owner may do everything with it, and nobody else
// anything.
func (Conversation) Policy() ent.Policy {
	return policy{
		own: owned[*gen.ConversationQuery, *gen.ConversationMutation](conversation.UserID, anyChange),
	}
}
