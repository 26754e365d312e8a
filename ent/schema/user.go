package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	gen "parley/ent"
	"parley/ent/user"
	"parley/internal/pid"
	"parley/internal/viewer"
)

// User is a person who signs in, here or at an external issuer.
type User struct{ ent.Schema }

// Fields of the User.
func (User) Fields() []ent.Field {
	return []ent.Field{
		idField(pid.User),
		field.String("email").Optional().Nillable().
			Comment("Case-folded. Null for users of an external issuer: a token's email claim is shown, never a key."),
		field.String("name").Default(""),
		field.String("password_hash").Optional().Nillable().Sensitive().
			Comment("argon2id in PHC form. Null for users of an external issuer."),
		field.Time("password_changed_at").Optional().Nillable(),
		field.String("issuer").Optional().Nillable().Immutable(),
		field.String("subject").Optional().Nillable().Immutable(),
		field.String("external_email").Optional().Nillable().
			Comment("The email claim of an external issuer's token, for display only."),
		field.Time("disabled_at").Optional().Nillable(),
		field.Time("last_sign_in_at").Optional().Nillable().
			Comment("When a password last opened an AuthSession. It outlives the session. Null for users of an external issuer."),
		createdAt(),
		updatedAt(),
	}
}

// Edges of the User.
func (User) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("conversations", Conversation.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("conversation_deletions", ConversationDeletion.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("messages", Message.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("summaries", Summary.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("sends", Send.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("auth_sessions", AuthSession.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of the User.
func (User) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("email").Unique(),
		index.Fields("issuer", "subject").Unique(),
	}
}

// Policy of the User: users see and change themselves; accounts are made at
// sign-up and by the operator.
func (User) Policy() ent.Policy {
	return policy{
		readers: []viewer.Purpose{viewer.SignIn, viewer.Admin},
		writers: map[viewer.Purpose]ent.Op{
			viewer.SignIn: ent.OpCreate | anyUpdate,
			viewer.Admin:  anyChange,
		},
		own: owned[*gen.UserQuery, *gen.UserMutation](user.ID, anyUpdate),
	}
}
