package graph_test

import (
	"fmt"
	"testing"

	"github.com/99designs/gqlgen/graphql"
)

// BenchmarkQueries executes queries whose fields read rows at one or more levels.
func BenchmarkQueries(b *testing.B) {
	s := onSQLite(b)
	ada := s.signUp("ada")
	var last sent
	for i := range 20 {
		id := s.conversation(ada, vars{"systemPrompt": fmt.Sprint("Speak like number ", i)})
		for range 2 {
			last = s.send(ada, id, "hello", vars{"wait": true})
		}
	}
	for _, q := range []struct{ name, document string }{
		{"plain", `{ conversations { nodes { id name model } } }`},
		{"one level", `{ conversations { nodes { id runningReply { id } systemPrompt } } }`},
		{"two levels", `{ conversations { nodes { id messages(last: 4) { totalCount nodes { id content } } } } }`},
		{"three levels", `{ conversations { nodes { id systemPrompt runningReply { id } user { id }
			messages(last: 4) { totalCount nodes { id parent { id } conversation { id user { id } } } } } } }`},
		{"one object", `{ conversation(id: "` + string(last.conversation) +
			`") { id messages { nodes { id parent { id } conversation { id } } } } }`},
	} {
		b.Run(q.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ctx := graphql.StartOperationTrace(s.as(ada))
				op, errs := s.exec.CreateOperationContext(ctx, &graphql.RawParams{Query: q.document})
				if errs != nil {
					b.Fatal(errs)
				}
				responses, ctx := s.exec.DispatchOperation(ctx, op)
				if r := responses(ctx); len(r.Errors) > 0 {
					b.Fatal(r.Errors)
				}
			}
		})
	}
}
