package storetest

import (
	"slices"

	atlas "ariga.io/atlas/sql/schema"
	"entgo.io/ent/dialect/sql/schema"

	entschema "parley/ent/schema"
)

// KeepLeaving is an Ent diff hook by which the columns of ent/schema's Leaving are no
// difference between a database and the entities.
func KeepLeaving(next schema.Differ) schema.Differ {
	return schema.DiffFunc(func(current, desired *atlas.Schema) ([]atlas.Change, error) {
		changes, err := next.Diff(current, desired)
		if err != nil {
			return nil, err
		}
		return slices.DeleteFunc(changes, func(c atlas.Change) bool {
			table, ok := c.(*atlas.ModifyTable)
			if !ok {
				return false
			}
			table.Changes = slices.DeleteFunc(table.Changes, func(c atlas.Change) bool {
				drop, ok := c.(*atlas.DropColumn)
				return ok && slices.Contains(entschema.Leaving(), table.T.Name+"."+drop.C.Name)
			})
			return len(table.Changes) == 0
		}), nil
	})
}
