package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	gen "parley/ent"
	"parley/ent/authsession"
	"parley/internal/pid"
	"parley/internal/viewer"
)

// AuthSession is one signed-in device: a family of refresh tokens, each the
// successor of the one before. No token is stored, only hashes.
type AuthSession struct{ ent.Schema }

// Fields of the AuthSession.
func (AuthSession) Fields() []ent.Field {
	return []ent.Field{
		idField(pid.AuthSession),
		ownerField(),
		field.Int("generation").Default(0).
			Comment("How often the family has been rotated; the generation of the live token."),
		field.String("token_hash").Sensitive().
			Comment("SHA-256 of the live refresh token, hex."),
		field.String("previous_hash").Optional().Nillable().Sensitive().
			Comment("SHA-256 of its direct predecessor, which is answered with the same successor while that may not have arrived."),
		field.Int("received").Optional().Nillable().
			Comment("The latest generation of which something has been used: it has arrived at whoever asked for it."),
		field.String("key_id").
			Comment("The server key the live token was derived with."),
		field.Time("rotated_at").
			Comment("When the live token was made, or given again to a predecessor that came late."),
		field.Time("expires_at").
			Comment("Absolute end of the family."),
		field.Time("idle_expires_at").
			Comment("End of the live refresh token when it is not used."),
		field.Time("revoked_at").Optional().Nillable(),
		field.String("revoked_reason").Optional().Nillable(),
		createdAt(),
	}
}

// Edges of the AuthSession.
func (AuthSession) Edges() []ent.Edge {
	return []ent.Edge{ownerEdge("auth_sessions")}
}

// Indexes of the AuthSession.
func (AuthSession) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("user_id", "created_at", "id"),
		index.Fields("expires_at"),
	}
}

// Policy of the AuthSession: users see and end their own.
func (AuthSession) Policy() ent.Policy {
	return policy{
		readers: []viewer.Purpose{viewer.SignIn, viewer.Admin},
		writers: map[viewer.Purpose]ent.Op{
			viewer.SignIn: anyChange,
			viewer.Admin:  anyUpdate,
			viewer.Sweep:  anyDelete,
		},
		own: owned[*gen.AuthSessionQuery, *gen.AuthSessionMutation](authsession.UserID, anyUpdate),
	}
}
