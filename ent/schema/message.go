package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	gen "parley/ent"
	"parley/ent/message"
	"parley/internal/pid"
	"parley/internal/viewer"
)

// Message is one message of a conversation. An assistant message is a reply: it
// exists before the model is called and grows until its status is final.
type Message struct{ ent.Schema }

// Fields of the Message.
func (Message) Fields() []ent.Field {
	return []ent.Field{
		idField(pid.Message),
		field.String("conversation_id").GoType(pid.ID("")).Immutable(),
		ownerField(),
		field.String("parent_id").GoType(pid.ID("")).Optional().Nillable().Immutable().
			Comment("Null for message 0, the only root. Children are never stored on the parent."),
		field.Int("index").NonNegative().Immutable().
			Comment("Depth from the root: 0,1,2,… along every line."),
		field.Bool("active").Default(true).
			Comment("On the visible line."),
		field.Time("activated_at").Optional().Nillable().
			Comment("When it came onto the visible line last; null: when it was made. A branch is opened again as it was left by this."),
		field.Enum("role").Values("SYSTEM", "USER", "ASSISTANT").Immutable(),
		field.Text("content").Default(""),
		field.Text("reasoning").Default(""),
		field.Enum("status").Values("QUEUED", "STREAMING", "COMPLETED", "STOPPED", "FAILED", "INTERRUPTED").
			Default("COMPLETED").
			Comment("The last four never change."),
		field.Enum("finish_reason").Values("STOP", "LENGTH", "CONTENT_FILTER", "TOOL_CALLS").Optional().Nillable(),
		field.String("error_code").Optional().Nillable().
			Comment("A reply.Code."),
		field.String("model").Optional().Nillable().
			Comment("The model asked for; replies only."),
		field.String("client_key").Optional().Nillable().Immutable().
			Comment("The key that a message of the user was sent with, for its sender to know it again. What makes repeats harmless is the Send."),
		field.Text("parameters").Default("").
			Comment("The parameters in force when the reply was asked for; a new attempt uses them again."),
		field.Int("prompt_tokens").Optional().Nillable(),
		field.Int("completion_tokens").Optional().Nillable(),
		field.Int("prompt_bytes").Optional().Nillable().
			Comment("How many bytes of text the reply was made from. Until it has ended: what there was when it was asked for. Null: not known."),
		field.Int("cached_tokens").Optional().Nillable(),
		field.Int("reasoning_tokens").Optional().Nillable(),
		field.Bool("usage_estimated").Default(false),
		field.Int("reserved_tokens").Optional().Nillable().Immutable().
			Comment("What a reply holds of its user's tokens until it is final: an estimate of what it will use."),
		field.String("system_prompt_hash").Optional().Nillable().
			Comment("SHA-256 of the system prompt the reply was generated with, hex."),
		field.Enum("context_policy").Values("FULL", "TRUNCATE", "LAST_N", "SUMMARIZE").Optional().Nillable().
			Comment("How it was chosen what the reply was made from; null: not known, or no model was called."),
		field.Int("context_from_index").Optional().Nillable().
			Comment("The index of the first message that was sent, message 0 aside. The next window starts here while that fits."),
		field.Int("context_count").Optional().Nillable().
			Comment("How many messages were sent, message 0 aside."),
		field.Int("context_dropped").Optional().Nillable().
			Comment("How many were left out because of the limit."),
		field.Int("context_limit").Optional().Nillable().
			Comment("The limit that was kept to, in tokens; null: none was known."),
		field.String("context_summary_id").GoType(pid.ID("")).Optional().Nillable().
			Comment("The summary that stood in for what was left out. Not a foreign key: it may be thrown away."),
		field.Bool("cut_by_server").Default(false).
			Comment("The model server seems to have read less than it was sent."),
		field.Text("dropped_parameters").Default("").
			Comment("Names of parameters that the model server refused to know, with spaces between them."),
		field.Text("omitted_output").Default("").
			Comment("Kinds of output that could not be kept, with spaces between them."),
		field.Text("citations").Default("").
			Comment("reply.Citations as text; empty when there are none."),
		field.Int("cache_write_tokens").Optional().Nillable().
			Comment("Part of prompt_tokens."),
		field.Int("reasoning_ms").Optional().Nillable(),
		field.Int("first_token_ms").Optional().Nillable(),
		field.String("owner").GoType(pid.ID("")).Optional().Nillable().
			Comment("The replica that runs the reply. Part of the fence of every write."),
		field.Int("attempt").Default(0).
			Comment("Runs of the model so far, 1 for the first. Part of the fence of every write."),
		field.Int("crashes").Default(0).
			Comment("How often an owner died over this reply."),
		field.Text("salvage").Default("").
			Comment("The longest text of earlier attempts, shown if no later attempt ends well."),
		field.Time("stop_requested_at").Optional().Nillable(),
		field.Time("started_at").Optional().Nillable().
			Comment("When the first attempt started; the reply's deadline counts from here."),
		field.Time("finished_at").Optional().Nillable(),
		field.Time("edited_at").Optional().Nillable().
			Comment("When its text was last corrected in place."),
		field.String("continues_id").GoType(pid.ID("")).Optional().Nillable().Immutable().
			Comment("The reply whose text this one begins with. Not a foreign key: that one may be deleted."),
		field.Int("continued_bytes").Default(0).Immutable().
			Comment("How much of content was there before the first attempt: what it continues. Each attempt begins behind it."),
		createdAt(),
	}
}

// Edges of the Message.
func (Message) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("conversation", Conversation.Type).Ref("messages").Field("conversation_id").
			Unique().Required().Immutable(),
		ownerEdge("messages"),
		// No cascade along the line: SQLite stops cascades at a depth of 1,000, and
		// the conversation's own cascade removes every message at once.
		edge.To("children", Message.Type).Annotations(entsql.OnDelete(entsql.NoAction)).
			From("parent").Field("parent_id").Unique().Immutable(),
		edge.To("summary", Summary.Type).Unique().Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// unfinished is how both databases keep the condition; Postgres would rewrite IN.
// Queries must use the same words, without parameters, for SQLite to see that the
// index holds what they look for: see package reply's predicates.
const unfinished = "status = 'QUEUED' OR status = 'STREAMING'"

// Indexes of the Message.
func (Message) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("conversation_id", "index").Unique().StorageKey("message_visible_line").
			Annotations(entsql.IndexWhere("active")),
		index.Fields("conversation_id").Unique().StorageKey("message_one_streaming").
			Annotations(entsql.IndexWhere("status = 'STREAMING'")),
		index.Fields("conversation_id", "index", "id").StorageKey("message_unfinished").
			Annotations(entsql.IndexWhere(unfinished)),
		index.Fields("owner", "stop_requested_at").StorageKey("message_running_by_owner").
			Annotations(entsql.IndexWhere("status = 'STREAMING'")),
		index.Fields("user_id").StorageKey("message_unfinished_by_user").
			Annotations(entsql.IndexWhere(unfinished)),
		// Only replicas of the version before sum over messages; the index leaves with the
		// columns of Leaving.
		index.Fields("user_id", "created_at").StorageKey("message_usage_by_user").
			Annotations(entsql.IndexWhere("role = 'ASSISTANT'")),
		// The foreign keys: Ent makes no index for them, and cascades would scan.
		index.Fields("parent_id"),
		index.Fields("conversation_id"),
	}
}

// Policy of the Message: its owner may do everything with it; the sweeper finds
// and claims replies whose replica is gone.
func (Message) Policy() ent.Policy {
	return policy{
		readers: []viewer.Purpose{viewer.Sweep},
		writers: map[viewer.Purpose]ent.Op{viewer.Sweep: anyUpdate},
		own:     owned[*gen.MessageQuery, *gen.MessageMutation](message.UserID, anyChange),
	}
}
