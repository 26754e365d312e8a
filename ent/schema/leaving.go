package schema

// Leaving lists columns, as table.column, that no entity has any more and that stay in
// the database for one release: while an upgrade goes on, replicas of the version
// before still name them. Each has a default or may be null, so that rows can be made
// without it. To drop one, take it out of this list in the next release and run
// make migration.
func Leaving() []string {
	return []string{
		// Tokens of deleted replies; usage rows outlive them.
		"users.spent_on",
		"users.spent_tokens",
	}
}
