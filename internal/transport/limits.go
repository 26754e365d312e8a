package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"parley/internal/refusal"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
)

// Limits bounds what one document may ask for. Every count follows fragments, and
// is made once for each fragment, so that no document costs more to check than it
// is long. Zero fields take the default in brackets.
type Limits struct {
	// BodyBytes bounds what who has signed in may send at once, a body or a message of a
	// socket, variables included [1 MiB]. It is more than 64 KiB.
	BodyBytes     int
	DocumentBytes int // length of the document [16 KiB]
	Tokens        int // tokens of the document [1000]
	Depth         int // fields inside each other [12]
	Selections    int // fields, each spread counted as what it spreads [300]
	Aliases       int // fields with another name, likewise [30]
	QueryRoots    int // fields of a query's root, likewise [10]
	MutationRoots int // fields of a mutation's root, likewise [5]
	Directives    int // directives, likewise [30]
	Fragments     int // fragments in the document [50]
	Spreads       int // spreads in the document [100]
	// Comparisons bounds what validation takes longest for: it compares each two fields
	// that have one name and stand in one place [5000].
	Comparisons int
	Cost        int // fields times the length of the lists they stand in [5000]
	// PageSize is the length a list is taken to have when its field has the argument
	// first and neither first nor last is given [20].
	PageSize int
	// MaxPage is the longest list that resolvers give; they refuse a longer one by
	// themselves, and better [100].
	MaxPage int
	// Once names root fields of which a document may have one only: those that are
	// costly, or that test a password.
	Once []string
	// Dear names fields that take more than reading a value, each with how many it counts for
	// in Cost.
	Dear map[string]int

	// AnswerBytes bounds one answer [8 MiB], AnswersPerUser and Answers the large ones of a
	// user [32 MiB] and of the process [128 MiB] that are being made or wait to be read.
	// One that is being made counts twice, with the rows it is made of.
	AnswerBytes, AnswersPerUser, Answers int

	RequestsPerUser      int // queries and mutations under way [100]
	SubscriptionsPerUser int // running at once, on all sockets and streams [100]

	Operations     int // running at once on one socket [50]
	SocketsPerUser int // and streams, open at once [20]
	SocketsPerAddr int // likewise, while nobody is known on them [200]
	// MessagesPerSecond is what one socket may send in the long run; a burst of ten
	// seconds' worth is free [20].
	MessagesPerSecond int
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&l.BodyBytes, 1 << 20},
		{&l.DocumentBytes, 16 << 10}, {&l.Tokens, 1000}, {&l.Depth, 12}, {&l.Selections, 300}, {&l.Aliases, 30},
		{&l.QueryRoots, 10}, {&l.MutationRoots, 5}, {&l.Directives, 30}, {&l.Fragments, 50}, {&l.Spreads, 100},
		{&l.Comparisons, 5000}, {&l.Cost, 5000}, {&l.PageSize, 20}, {&l.MaxPage, 100}, {&l.Operations, 50},
		{&l.SocketsPerUser, 20},
		{&l.SocketsPerAddr, 200},
		{&l.AnswerBytes, 8 << 20}, {&l.AnswersPerUser, 32 << 20}, {&l.Answers, 128 << 20},
		{&l.RequestsPerUser, 100}, {&l.SubscriptionsPerUser, 100},
		{&l.MessagesPerSecond, 20},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return l
}

// codeTooComplex is the code of an operation that asks for too much.
const codeTooComplex = string(refusal.CodeTooComplex)

func tooComplex(what string, limit int) *gqlerror.Error {
	return coded(codeTooComplex, fmt.Sprintf("The operation has too many %s; at most %d are allowed.", what, limit))
}

// checkDocument applies the limits that need no schema, before the document is
// validated: validation takes time that grows with the square of its fields. It returns
// the document, in the copy that all who sent it share.
func (s *Server) checkDocument(ctx context.Context, query string) (string, *gqlerror.Error) {
	l := s.cfg.Limits
	if len(query) > l.DocumentBytes {
		return "", coded(codeTooComplex, fmt.Sprintf("The document may have at most %d bytes. "+
			"Long texts belong in variables.", l.DocumentBytes))
	}
	if shared, found := s.checked.Get(ctx, query); found {
		return shared, nil
	}
	doc, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: query}, l.Tokens)
	if err != nil {
		return query, nil // The executor says what is wrong.
	}
	if n := len(doc.Fragments); n > l.Fragments {
		return "", tooComplex("fragments", l.Fragments)
	}
	m := newMeasurer(doc)
	if m.spreads > l.Spreads {
		return "", tooComplex("fragment spreads", l.Spreads)
	}
	for _, op := range doc.Operations {
		if err := l.checkShape(m.operation(op), op.Operation); err != nil {
			return "", err
		}
		if m.comparisons(op.SelectionSet, l.Comparisons) > l.Comparisons {
			return "", tooComplex("fields of one name in one place", sameName(l.Comparisons))
		}
		if err := l.checkOnce(m, op); err != nil {
			return "", err
		}
	}
	s.checked.Add(ctx, query, query)
	return query, nil
}

func (l Limits) checkShape(sh shape, kind ast.Operation) *gqlerror.Error {
	roots := l.QueryRoots
	switch kind {
	case ast.Mutation:
		roots = l.MutationRoots
	case ast.Subscription:
		roots = 1
	}
	for _, c := range []struct {
		n, limit int
		what     string
	}{
		{sh.depth, l.Depth, "levels"}, {sh.selections, l.Selections, "fields"}, {sh.aliases, l.Aliases, "aliases"},
		{sh.directives, l.Directives, "directives"}, {sh.roots, roots, "root fields"},
	} {
		if c.n > c.limit {
			return tooComplex(c.what, c.limit)
		}
	}
	return nil
}

// checkOnce refuses a second one of the fields that may stand once.
func (l Limits) checkOnce(m *measurer, op *ast.OperationDefinition) *gqlerror.Error {
	if len(l.Once) == 0 || op.Operation != ast.Mutation {
		return nil
	}
	total := 0
	counts := m.rootFields(op.SelectionSet)
	for _, name := range l.Once {
		total += counts[name]
	}
	if total > 1 {
		return coded(codeTooComplex, fmt.Sprintf("Only one of these fields may stand in an operation, and once: %s.",
			strings.Join(l.Once, ", ")))
	}
	return nil
}

// shape is what is counted of a selection, fragments included. Counts saturate.
type shape struct {
	depth, selections, aliases, directives, roots int
}

func (a shape) plus(b shape) shape {
	return shape{
		depth:      max(a.depth, b.depth),
		selections: add(a.selections, b.selections),
		aliases:    add(a.aliases, b.aliases),
		directives: add(a.directives, b.directives),
		roots:      add(a.roots, b.roots),
	}
}

// add and multiply stop at a number no limit reaches.
func add(a, b int) int { return min(a+b, saturated) }

func multiply(a, b int) int {
	if a != 0 && b > saturated/a {
		return saturated
	}
	return a * b
}

const saturated = math.MaxInt32

// measurer counts shapes, each fragment's once.
type measurer struct {
	fragments map[string]*ast.FragmentDefinition
	known     map[string]shape
	roots     map[string]map[string]int
	spreads   int
}

func newMeasurer(doc *ast.QueryDocument) *measurer {
	m := &measurer{fragments: make(map[string]*ast.FragmentDefinition), known: make(map[string]shape),
		roots: make(map[string]map[string]int)}
	for _, f := range doc.Fragments {
		m.fragments[f.Name] = f
		m.spreads += countSpreads(f.SelectionSet)
	}
	for _, op := range doc.Operations {
		m.spreads += countSpreads(op.SelectionSet)
	}
	return m
}

func countSpreads(set ast.SelectionSet) int {
	n := 0
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			n += countSpreads(sel.SelectionSet)
		case *ast.InlineFragment:
			n += countSpreads(sel.SelectionSet)
		case *ast.FragmentSpread:
			n++
		}
	}
	return n
}

func (m *measurer) operation(op *ast.OperationDefinition) shape {
	sh := m.set(op.SelectionSet)
	sh.directives = add(sh.directives, len(op.Directives))
	return sh
}

// set counts a selection; roots are the fields that stand at its own level.
func (m *measurer) set(set ast.SelectionSet) shape {
	var total shape
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			inner := m.set(sel.SelectionSet)
			if isIntrospection(sel.Name) {
				inner = shape{} // Bounded by being off in production, and by the tokens.
			}
			inner.depth++
			inner.roots = 1
			inner.selections = add(inner.selections, 1)
			inner.directives = add(inner.directives, len(sel.Directives))
			if sel.Alias != sel.Name {
				inner.aliases = add(inner.aliases, 1)
			}
			total = total.plus(inner)
		case *ast.InlineFragment:
			inner := m.set(sel.SelectionSet)
			inner.directives = add(inner.directives, len(sel.Directives))
			total = total.plus(inner)
		case *ast.FragmentSpread:
			inner := m.fragment(sel.Name)
			inner.directives = add(inner.directives, len(sel.Directives))
			total = total.plus(inner)
		}
	}
	return total
}

func (m *measurer) fragment(name string) shape {
	if sh, ok := m.known[name]; ok {
		return sh
	}
	f := m.fragments[name]
	if f == nil {
		return shape{} // Validation refuses it.
	}
	m.known[name] = shape{} // A circle counts once; validation refuses it.
	sh := m.set(f.SelectionSet)
	sh.directives = add(sh.directives, len(f.Directives))
	m.known[name] = sh
	return sh
}

// rootFields counts the fields of a root by name, each fragment's once.
func (m *measurer) rootFields(set ast.SelectionSet) map[string]int {
	counts := make(map[string]int)
	merge := func(more map[string]int) {
		for name, n := range more {
			counts[name] = add(counts[name], n)
		}
	}
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			counts[sel.Name] = add(counts[sel.Name], 1)
		case *ast.InlineFragment:
			merge(m.rootFields(sel.SelectionSet))
		case *ast.FragmentSpread:
			f := m.fragments[sel.Name]
			if f == nil {
				continue
			}
			known, ok := m.roots[sel.Name]
			if !ok {
				m.roots[sel.Name] = nil // A circle counts once; validation refuses it.
				known = m.rootFields(f.SelectionSet)
				m.roots[sel.Name] = known
			}
			merge(known)
		}
	}
	return counts
}

func isIntrospection(name string) bool { return name == "__schema" || name == "__type" }

// checkOperation applies the limit that needs the schema and the variables: the
// cost, in which a field counts as often as the lists around it are long.
func (s *Server) checkOperation(op *graphql.OperationContext) *gqlerror.Error {
	if cost := s.cost(op); cost > s.cfg.Limits.Cost {
		return coded(codeTooComplex, fmt.Sprintf(
			"The operation may give up to %d fields; at most %d are allowed. Ask for shorter lists.", cost,
			s.cfg.Limits.Cost))
	}
	return nil
}

func (s *Server) cost(op *graphql.OperationContext) int {
	c := coster{limits: s.cfg.Limits, variables: op.Variables, known: make(map[*ast.FragmentDefinition]int)}
	return c.set(op.Operation.SelectionSet)
}

type coster struct {
	limits    Limits
	variables map[string]any
	known     map[*ast.FragmentDefinition]int
}

func (c *coster) set(set ast.SelectionSet) int {
	total := 0
	for _, sel := range set {
		switch sel := sel.(type) {
		case *ast.Field:
			if isIntrospection(sel.Name) {
				continue
			}
			own := max(1, c.limits.Dear[sel.Name])
			total = add(total, add(own, multiply(c.length(sel), c.set(sel.SelectionSet))))
		case *ast.InlineFragment:
			total = add(total, c.set(sel.SelectionSet))
		case *ast.FragmentSpread:
			if sel.Definition == nil {
				continue
			}
			cost, ok := c.known[sel.Definition]
			if !ok {
				cost = c.set(sel.Definition.SelectionSet)
				c.known[sel.Definition] = cost
			}
			total = add(total, cost)
		}
	}
	return total
}

// length is how many entries a field may have: as many as first or last say, or as
// many ids as it is given, or the page size where it could be told; else one.
func (c *coster) length(f *ast.Field) int {
	if f.Definition == nil {
		return 1
	}
	for _, name := range []string{"first", "last"} {
		if arg := f.Arguments.ForName(name); arg != nil {
			if n, ok := c.number(arg.Value); ok {
				return max(1, min(n, c.limits.MaxPage))
			}
		}
	}
	if arg := f.Arguments.ForName("ids"); arg != nil {
		v, err := arg.Value.Value(c.variables)
		if list, ok := v.([]any); ok && err == nil {
			return max(1, min(len(list), c.limits.MaxPage))
		}
	}
	if f.Definition.Arguments.ForName("first") != nil {
		return c.limits.PageSize
	}
	return 1
}

func (c *coster) number(v *ast.Value) (int, bool) {
	value, err := v.Value(c.variables)
	if err != nil {
		return 0, false
	}
	switch n := value.(type) {
	case int64:
		return clamp(n), true
	case int:
		return clamp(int64(n)), true
	case json.Number:
		i, err := n.Int64()
		return clamp(i), err == nil
	}
	return 0, false
}

func clamp(n int64) int { return int(max(0, min(n, saturated))) }
