package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	gen "parley/ent"
	"parley/ent/conversationdeletion"
	"parley/internal/pid"
	"parley/internal/viewer"
)

// ConversationDeletion says that a conversation was deleted. Feeds of the list read it to
// notice deletions they did not hear of. It is written in the transaction of the deletion,
// under the user's lock, so that a user's are numbered in the order in which they are
// seen. The version before writes none: what it deletes during an upgrade is known by its
// fact alone, as before. The sweep removes old ones.
type ConversationDeletion struct{ ent.Schema }

// Fields of the ConversationDeletion.
func (ConversationDeletion) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id").Immutable().
			Comment("Counts up. Not the time: clocks are set back now and then."),
		ownerField(),
		field.String("conversation_id").GoType(pid.ID("")).Immutable(),
		field.Time("deleted_at").Immutable().Comment("By the database's clock."),
	}
}

// Edges of the ConversationDeletion.
func (ConversationDeletion) Edges() []ent.Edge {
	return []ent.Edge{ownerEdge("conversation_deletions")}
}

// Indexes of the ConversationDeletion.
func (ConversationDeletion) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id", "id"),
		index.Fields("deleted_at"),
	}
}

// Policy of the ConversationDeletion: users add and read their own; nobody changes one;
// the sweeper removes old ones.
func (ConversationDeletion) Policy() ent.Policy {
	return policy{
		readers: []viewer.Purpose{viewer.Sweep},
		writers: map[viewer.Purpose]ent.Op{viewer.Sweep: anyDelete},
		own: owned[*gen.ConversationDeletionQuery, *gen.ConversationDeletionMutation](
			conversationdeletion.UserID, ent.OpCreate),
	}
}
