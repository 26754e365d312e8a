package graph

import (
	"strings"

	"github.com/vektah/gqlparser/v2/formatter"

	"parley/graph/generated"
)

// SDL returns the whole schema as one document, for code generators.
func SDL() string {
	var b strings.Builder
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	formatter.NewFormatter(&b, formatter.WithIndent("  ")).FormatSchema(schema)
	return b.String()
}
