package graph

import "github.com/99designs/gqlgen/graphql"

// orEmpty tells a field that is left out (nil) from one that is null ("").
func orEmpty(o graphql.Omittable[*string]) *string {
	v, ok := o.ValueOK()
	if !ok {
		return nil
	}
	if v == nil {
		v = new(string)
	}
	return v
}

func deref[T any](p *T) T {
	var v T
	if p != nil {
		v = *p
	}
	return v
}

// orNull is nil for 0, which stands for nothing.
func orNull(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}
