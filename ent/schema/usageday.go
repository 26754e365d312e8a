package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	gen "parley/ent"
	"parley/ent/usageday"
	"parley/internal/pid"
)

// UsageDay counts what a user's calls of one model have used on one day, for one
// purpose. The write that makes a reply final adds to it in the same transaction. It
// outlives the messages and the conversations it counts.
type UsageDay struct{ ent.Schema }

// Fields of the UsageDay.
func (UsageDay) Fields() []ent.Field {
	return []ent.Field{
		idField(pid.UsageDay),
		field.String("user_id").GoType(pid.ID("")).Immutable().
			Comment("Not a foreign key: the sums outlive the user, then without a name."),
		field.String("day").Immutable().
			Comment("YYYY-MM-DD in UTC: the day on which the call was asked for, whose limit let it in."),
		field.String("model").Immutable().
			Comment("The model asked for. Empty where it is not known any more."),
		field.Enum("purpose").Values("REPLY", "TITLE", "SUMMARY").Immutable(),
		field.String("currency").Default("").Immutable().
			Comment("ISO 4217, of micros. Empty while no prices are known."),
		field.Int("calls").Default(0),
		field.Int("prompt_tokens").Default(0),
		field.Int("completion_tokens").Default(0),
		field.Int("cached_tokens").Default(0).
			Comment("Part of prompt_tokens."),
		field.Int("reasoning_tokens").Default(0).
			Comment("Part of completion_tokens."),
		field.Int("micros").Default(0).
			Comment("Millionths of the currency. Zero while no prices are known."),
		field.Int("estimated_calls").Default(0).
			Comment("Those of calls whose tokens are an estimate."),
	}
}

// Indexes of the UsageDay.
func (UsageDay) Indexes() []ent.Index {
	return []ent.Index{
		// What an upsert meets. Its beginning serves the days of a user.
		index.Fields("user_id", "day", "model", "purpose", "currency").Unique(),
		index.Fields("day"),
	}
}

// Policy of the UsageDay: users add and read their own; nobody changes one. Adding up
// is a statement of package store, which names the owner.
func (UsageDay) Policy() ent.Policy {
	return policy{
		own: owned[*gen.UsageDayQuery, *gen.UsageDayMutation](usageday.UserID, ent.OpCreate),
	}
}
