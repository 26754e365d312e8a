package transport

import (
	"math"

	"github.com/vektah/gqlparser/v2/ast"
)

// comparisons is about how many pairs of fields validation compares: each two that stand in
// one place of the answer under one name, again for each inline fragment around both. It
// stops when it has counted more than most, also of what it looks at, since fragments in
// fragments can be far longer than the document.
func (m *measurer) comparisons(set ast.SelectionSet, most int) int {
	c := comparer{measurer: m, most: most}
	c.place([]ast.SelectionSet{set})
	return c.count
}

type comparer struct {
	*measurer
	most    int
	looked  int
	count   int
	inside  []string // the fragments around
	nesting int      // of inline fragments
}

// sameNamed are the fields of one name in one place.
type sameNamed struct {
	n, nesting int
	below      []ast.SelectionSet
}

// place counts what lies in a place, to which all these selections are merged.
func (c *comparer) place(sets []ast.SelectionSet) {
	fields := make(map[string]*sameNamed)
	for _, set := range sets {
		c.collect(fields, set)
	}
	for _, f := range fields {
		if c.count > c.most {
			return
		}
		c.count = add(c.count, multiply(f.n*(f.n-1)/2, 1+f.nesting))
		if len(f.below) > 0 {
			c.place(f.below)
		}
	}
}

func (c *comparer) collect(fields map[string]*sameNamed, set ast.SelectionSet) {
	for _, sel := range set {
		if c.looked++; c.looked > c.most {
			c.count = saturated
			return
		}
		switch sel := sel.(type) {
		case *ast.Field:
			f := fields[sel.Alias]
			if f == nil {
				f = &sameNamed{}
				fields[sel.Alias] = f
			}
			f.n++
			f.nesting = max(f.nesting, c.nesting)
			if len(sel.SelectionSet) > 0 {
				f.below = append(f.below, sel.SelectionSet)
			}
		case *ast.InlineFragment:
			c.nesting++
			c.collect(fields, sel.SelectionSet)
			c.nesting--
		case *ast.FragmentSpread:
			c.spread(fields, sel.Name)
		}
	}
}

// spread collects what a fragment spreads. A circle ends; validation refuses it.
func (c *comparer) spread(fields map[string]*sameNamed, name string) {
	f := c.fragments[name]
	if f == nil {
		return
	}
	for _, around := range c.inside {
		if around == name {
			return
		}
	}
	c.inside = append(c.inside, name)
	c.collect(fields, f.SelectionSet)
	c.inside = c.inside[:len(c.inside)-1]
}

// sameName is how many fields of one name so many comparisons are.
func sameName(comparisons int) int { return int((1 + math.Sqrt(1+8*float64(comparisons))) / 2) }
