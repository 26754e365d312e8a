// Package schema declares Parley's entities: their columns, the indexes and
// constraints that do the work, and the privacy policies that deny by default.
// The rest of package ent is generated from it.
//
// Its one invariant: every entity has a policy, and a query without a viewer
// finds nothing and changes nothing.
//
// What is where: an entity with its policy is in the file of its name (user.go,
// authsession.go, auththrottle.go, conversation.go, conversationdeletion.go, message.go,
// send.go, summary.go, replica.go, usageday.go); policy.go has the forms of policies, schema.go what entities
// share, and leaving.go the columns that only the version before still needs.
package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"

	"parley/internal/pid"
)

// idField is the primary key, made by pid for the given kind.
func idField(kind pid.Kind) ent.Field {
	return field.String("id").GoType(pid.ID("")).
		DefaultFunc(func() pid.ID { return pid.New(kind) }).
		Immutable()
}

// ownerField is the user a row belongs to. It never changes.
func ownerField() ent.Field {
	return field.String("user_id").GoType(pid.ID("")).Immutable()
}

// ownerEdge is the edge behind ownerField.
func ownerEdge(ref string) ent.Edge {
	return edge.From("user", User.Type).Ref(ref).Field("user_id").Unique().Required().Immutable()
}

// now is the current time as both databases keep it, so that a row reads back as
// it was written.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func createdAt() ent.Field {
	return field.Time("created_at").Default(now).Immutable()
}

func updatedAt() ent.Field {
	return field.Time("updated_at").Default(now).UpdateDefault(now)
}
