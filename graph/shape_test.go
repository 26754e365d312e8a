package graph_test

import (
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"parley/graph"
)

// Fields of one name have one shape in all types of an interface or union: otherwise no document
// could ask for both beside each other, as the fragments of node(id:) do, without an alias.
func TestFieldsOfOneNameHaveOneShape(t *testing.T) {
	t.Parallel()
	schema := graph.NewSchema(&graph.Resolver{}).Schema()
	for _, abstract := range ours(schema) {
		seen := make(map[string]*ast.FieldDefinition)
		of := make(map[string]string)
		for _, member := range schema.PossibleTypes[abstract.Name] {
			if abstract.Kind == ast.Object {
				continue
			}
			for _, f := range member.Fields {
				if other := seen[f.Name]; other != nil && !sameShape(schema, f.Type, other.Type) {
					t.Errorf("%s: %s.%s is %v, and %s.%s is %v", abstract.Name, member.Name, f.Name, f.Type,
						of[f.Name], f.Name, other.Type)
				}
				seen[f.Name], of[f.Name] = f, member.Name
			}
		}
	}
}

// sameShape is the rule SameResponseShape of the GraphQL specification, for one field.
func sameShape(schema *ast.Schema, a, b *ast.Type) bool {
	if a.NonNull != b.NonNull || (a.Elem == nil) != (b.Elem == nil) {
		return false
	}
	if a.Elem != nil {
		return sameShape(schema, a.Elem, b.Elem)
	}
	return a.NamedType == b.NamedType ||
		!schema.Types[a.NamedType].IsLeafType() && !schema.Types[b.NamedType].IsLeafType()
}
