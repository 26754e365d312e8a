package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	gen "parley/ent"
	"parley/ent/send"
	"parley/internal/pid"
	"parley/internal/viewer"
)

// Send is the record of one accepted sendMessage. With a client key it answers
// every repeat with the same pair; it outlives the messages, so that a late
// repeat after a deletion is told NOT_FOUND and pays for no second reply. The sweep
// removes old ones: see chat.KeepKeys.
type Send struct{ ent.Schema }

// Fields of the Send.
func (Send) Fields() []ent.Field {
	return []ent.Field{
		idField(pid.Send),
		ownerField(),
		field.String("client_key").Optional().Nillable().Immutable(),
		field.String("payload_hash").Immutable().
			Comment("SHA-256 over conversation, content, model and parameters, hex."),
		field.String("conversation_id").GoType(pid.ID("")).Immutable(),
		field.String("user_message_id").GoType(pid.ID("")).Immutable(),
		field.String("reply_id").GoType(pid.ID("")).Immutable(),
		createdAt(),
	}
}

// Edges of the Send.
func (Send) Edges() []ent.Edge {
	return []ent.Edge{ownerEdge("sends")}
}

// Indexes of the Send.
func (Send) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id", "client_key").Unique(),
		index.Fields("user_id", "created_at"),
	}
}

// Policy of the Send: users add and read their own; nobody changes one; the
// sweeper removes old ones.
func (Send) Policy() ent.Policy {
	return policy{
		readers: []viewer.Purpose{viewer.Sweep},
		writers: map[viewer.Purpose]ent.Op{viewer.Sweep: anyDelete},
		own:     owned[*gen.SendQuery, *gen.SendMutation](send.UserID, ent.OpCreate),
	}
}
