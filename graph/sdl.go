package graph

import (
	"maps"
	"strings"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"

	"parley/graph/generated"
)

// served is the schema that documents are checked against and that introspection tells.
// gqlgen offers @defer in every schema, and answers null in the place of what is deferred,
// also where a field is never null: nobody is to be promised that.
var served = sync.OnceValue(func() *ast.Schema {
	schema := *generated.NewExecutableSchema(generated.Config{}).Schema()
	schema.Directives = maps.Clone(schema.Directives)
	delete(schema.Directives, "defer")
	return &schema
})

// SDL returns the whole schema as one document, for code generators: what introspection
// tells, and nothing else.
func SDL() string {
	schema := served()
	var b strings.Builder
	// The formatter leaves out the description, and with it the place for one.
	b.WriteString("\"\"\"\n" + schema.Description + "\n\"\"\"\nschema {\n")
	for _, root := range []struct {
		operation ast.Operation
		of        *ast.Definition
	}{{ast.Query, schema.Query}, {ast.Mutation, schema.Mutation}, {ast.Subscription, schema.Subscription}} {
		b.WriteString("  " + string(root.operation) + ": " + root.of.Name + "\n")
	}
	b.WriteString("}\n")
	formatter.NewFormatter(&b, formatter.WithIndent("  ")).FormatSchema(schema)
	return b.String()
}
