package transport

import (
	"strings"
	"testing"
	"unsafe"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// TestNamesKeepNoDocuments is that the name of an operation, which spans hold until they are
// exported, has memory of its own.
func TestNamesKeepNoDocuments(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Short", strings.Repeat("N", 2*MaxOperationName)} {
		document := "query " + name + " { a }"
		piece := document[len("query "):][:len(name)]
		var e Exchange
		e.asks(&graphql.OperationContext{Operation: &ast.OperationDefinition{Operation: ast.Query, Name: piece}})
		if e.Operation != name[:min(len(name), MaxOperationName)] {
			t.Errorf("the name is %q", e.Operation)
		}
		if unsafe.StringData(e.Operation) == unsafe.StringData(piece) {
			t.Errorf("%.5s is a piece of the document", e.Operation)
		}
	}
}
