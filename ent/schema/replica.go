package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"parley/internal/pid"
	"parley/internal/viewer"
)

// Replica is one running process. Its lease covers all the replies it owns.
type Replica struct{ ent.Schema }

// Fields of the Replica.
func (Replica) Fields() []ent.Field {
	return []ent.Field{
		idField(pid.Replica),
		field.String("address").Default("").
			Comment("Where it listens, for people who read the table."),
		field.String("keys").Default("").
			Comment("The ids of the keys it accepts tokens of, the one it signs with first, each with a fingerprint. Empty: it does not say."),
		field.Time("lease_expires_at").
			Comment("By the database's clock."),
		createdAt(),
	}
}

// Indexes of the Replica.
func (Replica) Indexes() []ent.Index {
	return []ent.Index{index.Fields("lease_expires_at")}
}

// Policy of the Replica: only the sweeper keeps leases.
func (Replica) Policy() ent.Policy {
	return policy{
		readers: []viewer.Purpose{viewer.Sweep},
		writers: map[viewer.Purpose]ent.Op{viewer.Sweep: anyChange},
	}
}
