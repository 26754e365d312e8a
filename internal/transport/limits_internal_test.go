package transport

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"parley/internal/refusal"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

const limitSchema = `
	type Query { a: A  b: A  list(first: Int, last: Int): [A!]!  nodes(ids: [ID!]!): [A]  n: Int }
	type A { a: A  n: Int  m: Int  list(first: Int, last: Int): [A!]! }
	type Mutation { signIn(p: String): Int  send(p: String): Int  other: Int }
	type Subscription { n: Int  m: Int }`

func limited(t testing.TB, l Limits) *Server {
	t.Helper()
	parsed := gqlparser.MustLoadSchema(&ast.Source{Input: limitSchema})
	return New(Config{
		Schema: &graphql.ExecutableSchemaMock{
			SchemaFunc:     func() *ast.Schema { return parsed },
			ComplexityFunc: func(context.Context, string, string, int, map[string]any) (int, bool) { return 0, false },
		},
		ErrorPresenter: graphql.DefaultErrorPresenter,
		Recover:        graphql.DefaultRecover,
		Authenticate: func(ctx context.Context, _ string) (Identity, error) {
			return Identity{Context: ctx}, nil
		},
		RefuseOrigin: func(string) *refusal.Error { return refusal.Forbidden("No.") },
		Development:  true,
		Limits:       l,
		Log:          slog.New(slog.DiscardHandler),
	})
}

// refused is what prepare says about a document, or "".
func refused(s *Server, query string, variables map[string]any) string {
	_, errs := s.prepare(context.Background(), &graphql.RawParams{Query: query, Variables: variables})
	if len(errs) == 0 {
		return ""
	}
	return code(errs[0])
}

func code(err *gqlerror.Error) string {
	c, _ := err.Extensions["code"].(string)
	return c
}

// Each limit lets its number pass and refuses one more, directly and through a
// fragment.
func TestLimitsAreExact(t *testing.T) {
	t.Parallel()
	roomy := Limits{
		DocumentBytes: 1 << 20, Tokens: 100_000, Depth: 1000, Selections: 10_000, Aliases: 10_000, QueryRoots: 10_000,
		MutationRoots: 1000, Directives: 1000, Fragments: 1000, Spreads: 1000, Cost: 1_000_000,
		Comparisons: 1_000_000,
	}
	repeat := func(n int, s string) string { return strings.Repeat(s, n) }
	deep := func(n int) string { return repeat(n-1, "{ a ") + "{ n }" + repeat(n-1, " }") }
	aliases := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "x%d: n ", i)
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		set  func(*Limits)
		make func(n int) string
	}{
		"bytes": {func(l *Limits) { l.DocumentBytes = 20 },
			func(n int) string { return "{ n " + repeat(n+20-10-6, " ") + " }" }},
		"depth": {func(l *Limits) { l.Depth = 10 }, deep},
		"depth through a fragment": {func(l *Limits) { l.Depth = 10 },
			func(n int) string { return "{ a { ...f } } fragment f on A " + deep(n-1) }},
		"depth through inline": {func(l *Limits) { l.Depth = 10 },
			func(n int) string { return "{ a { ... on A " + deep(n-1) + " } }" }},
		"fields": {func(l *Limits) { l.Selections = 10 },
			func(n int) string { return "{ a { " + repeat(n-1, "n ") + "} }" }},
		"fields through a fragment": {func(l *Limits) { l.Selections = 10 },
			func(n int) string { return "{ a { ...f " + repeat(n-3, "n ") + "} } fragment f on A { n m }" }},
		"aliases": {func(l *Limits) { l.Aliases = 10 },
			func(n int) string { return "{ a { " + aliases(n) + "} }" }},
		"aliases through fragments": {func(l *Limits) { l.Aliases = 10 },
			func(n int) string { return "{ a { " + aliases(n-2) + " ...f } b { ...f } } fragment f on A { y: n }" }},
		"roots": {func(l *Limits) { l.QueryRoots = 10 },
			func(n int) string { return "{ " + repeat(n, "n ") + "}" }},
		"roots through a fragment": {func(l *Limits) { l.QueryRoots = 10 },
			func(n int) string { return "{ " + repeat(n-2, "n ") + "...f } fragment f on Query { n a { n } }" }},
		"mutations": {func(l *Limits) { l.MutationRoots = 10 },
			func(n int) string { return "mutation { " + repeat(n, "other ") + "}" }},
		"directives": {func(l *Limits) { l.Directives = 10 },
			func(n int) string { return "{ " + repeat(n, "n @include(if: true) ") + "}" }},
		"directives on a fragment": {func(l *Limits) { l.Directives = 10 }, func(n int) string {
			return "{ " + repeat(n-1, "n @skip(if: false) ") + "...f @include(if: true) } fragment f on Query { n }"
		}},
		"spreads": {func(l *Limits) { l.Spreads = 10 },
			func(n int) string { return "{ " + repeat(n, "...f ") + "} fragment f on Query { n }" }},
		"cost of a list": {func(l *Limits) { l.Cost = 10 },
			func(n int) string { return fmt.Sprintf("{ list(first: %d) { n } }", n-1) }},
		"cost of lists in lists": {func(l *Limits) { l.Cost = 19 },
			func(n int) string { return fmt.Sprintf("{ list(last: 2) { list(first: %d) { n } } }", n-2) }},
		"cost of ids": {func(l *Limits) { l.Cost = 10 },
			func(n int) string { return "{ nodes(ids: [" + repeat(n-1, `"x" `) + "]) { n } }" }},
		"cost through a fragment": {func(l *Limits) { l.Cost = 10 },
			func(n int) string { return fmt.Sprintf("{ ...f } fragment f on Query { list(first: %d) { n } }", n-1) }},
		"cost of a dear field": {func(l *Limits) { l.Cost, l.Dear = 67, map[string]int{"m": 5} },
			func(n int) string { return fmt.Sprintf("{ list(first: %d) { x: m y: n } a { m } }", n) }},
		"comparisons": {func(l *Limits) { l.Comparisons = 45 },
			func(n int) string { return "{ a { " + repeat(n, "n ") + "} }" }},
		"comparisons below": {func(l *Limits) { l.Comparisons = 46 }, // One for the two above.
			func(n int) string { return "{ a { " + repeat(n-3, "n ") + "} a { n n n } }" }},
		// Those around the inline fragment are compared once more.
		"comparisons through fragments": {func(l *Limits) { l.Comparisons = 2 * 9 * 8 / 2 },
			func(n int) string {
				return "{ a { " + repeat(n-3, "n ") + "...f } } fragment f on A { n ... { n } x: n }"
			}},
		"fragments, all of them used": {func(l *Limits) { l.Fragments = 10 },
			func(n int) string { return manyFragments(n) }},
	} {
		l := roomy
		c.set(&l)
		s := limited(t, l)
		if got := refused(s, c.make(10), nil); got != "" {
			t.Errorf("%s: at the limit: %s, want it to pass\n%s", name, got, c.make(10))
		}
		for range 2 { // Not only when the document is new.
			if got := refused(s, c.make(11), nil); got != codeTooComplex {
				t.Errorf("%s: one above the limit: %q, want %s\n%s", name, got, codeTooComplex, c.make(11))
			}
		}
	}
}

func manyFragments(n int) string {
	var spreads, fragments strings.Builder
	for i := range n {
		fmt.Fprintf(&spreads, "...f%d ", i)
		fmt.Fprintf(&fragments, "fragment f%d on Query { n } ", i)
	}
	return "{ " + spreads.String() + "} " + fragments.String()
}

func TestCostFollowsVariablesAndDefaults(t *testing.T) {
	t.Parallel()
	s := limited(t, Limits{Cost: 100, PageSize: 20})
	for _, c := range []struct {
		query     string
		variables map[string]any
		want      string
	}{
		{"query($n: Int) { list(first: $n) { n } }", map[string]any{"n": 99}, ""},
		{"query($n: Int) { list(first: $n) { n } }", map[string]any{"n": 100}, codeTooComplex},
		{"query($n: Int) { list(first: $n) { list(first: $n) { n } } }", map[string]any{"n": 1 << 30}, codeTooComplex},
		{"query($n: Int = 1000) { list(first: $n) { n } }", nil, codeTooComplex},
		{"query($n: Int) { list(first: $n) { n m a { n } } }", nil, ""},               // 20 × 4, the page size.
		{"query($n: Int) { list(first: $n) { n m a { n m } } }", nil, codeTooComplex}, // 20 × 5.
		{"{ list { list { n } } }", nil, codeTooComplex},
		{"{ list(first: -5) { n } }", nil, ""}, // Refused by the resolver; it must not lower the cost of others.
		{"query($i: [ID!]!) { nodes(ids: $i) { n } }", map[string]any{"i": []any{"a", "b"}}, ""},
	} {
		if got := refused(s, c.query, c.variables); got != c.want {
			t.Errorf("%s with %v: %q, want %q", c.query, c.variables, got, c.want)
		}
	}
}

func TestOnceFields(t *testing.T) {
	t.Parallel()
	s := limited(t, Limits{Once: []string{"signIn", "send"}})
	for query, want := range map[string]string{
		"mutation { signIn }":                                      "",
		"mutation { signIn other }":                                "",
		"mutation { a: signIn b: signIn }":                         codeTooComplex,
		"mutation { signIn send }":                                 codeTooComplex,
		"mutation { signIn ...f } fragment f on Mutation { send }": codeTooComplex,
		"mutation { ...f ...g } fragment f on Mutation { x: send } fragment g on Mutation { ...f }": codeTooComplex,
	} {
		if got := refused(s, query, nil); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

// Introspection of development tools passes; it is off in production.
func TestIntrospectionIsNotLimited(t *testing.T) {
	t.Parallel()
	s := limited(t, Limits{Depth: 3, Selections: 10, Cost: 10})
	query := `{ __schema { types { name fields { name type { name ofType { name ofType { name ofType { name } } } } } } } }`
	if got := refused(s, query, nil); got != "" {
		t.Errorf("got %s", got)
	}
}

// bomb doubles with each of its n fragments.
func bomb(n int, inner string) string {
	var b strings.Builder
	b.WriteString("{ a { ...f0 } }")
	for i := range n {
		next := fmt.Sprintf("...f%d ...f%d", i+1, i+1)
		if i == n-1 {
			next = inner
		}
		fmt.Fprintf(&b, " fragment f%d on A { a { %s } }", i, next)
	}
	return b.String()
}

// The work of checking a document grows with its length, not with what it would
// spread to: counted in allocations, since time says nothing on a shared machine.
func TestBombsAreCheap(t *testing.T) { // Not parallel: it counts allocations.
	s := limited(t, Limits{})
	for _, n := range []int{10, 20, 40} {
		query := bomb(n, "n")
		if got := refused(s, query, nil); got == "" {
			t.Errorf("a bomb of %d fragments passes", n)
		}
		allocs := testing.AllocsPerRun(5, func() { refused(s, query, nil) })
		if limit := float64(200 * (n + 10)); allocs > limit {
			t.Errorf("a bomb of %d fragments costs %.0f allocations, want at most %.0f", n, allocs, limit)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	s := limited(b, Limits{})
	for name, query := range map[string]string{
		"ordinary": "{ list(first: 20) { n m a { n m list(first: 5) { n } } } }",
		"bomb":     bomb(40, "n"),
		"wide":     "{ a { " + strings.Repeat("n ", 290) + "} }", // The worst that passes.
		"too wide": "{ a { " + strings.Repeat("n ", 990) + "} }",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				// A new document each time: a comment keeps the caches out.
				refused(s, fmt.Sprintf("%s # %d", query, i), nil)
			}
		})
	}
}
