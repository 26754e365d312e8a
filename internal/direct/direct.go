// Package direct lets who makes an event of a subscription write it to the client itself. The
// events of a subscription are asked for by the goroutine that writes them. One that is made
// for each token of a reply would wake that goroutine each time, which costs more than all
// that it does then.
//
// Its one invariant: nothing here waits. Who makes the event has others to make.
package direct

import "context"

// Writer writes the data of an event, unless it would have to wait, or the client wants none
// any more: it returns false then, and nothing was written. The data is the caller's again
// afterwards. It is called while the goroutine of the subscription waits for an event, and
// does nothing else until Writer has returned.
type Writer func(data []byte) bool

type writerKey struct{}

// With returns a context for a subscription whose events may be written directly.
func With(ctx context.Context, w Writer) context.Context {
	return context.WithValue(ctx, writerKey{}, w)
}

// Of returns the writer of the subscription that runs in ctx; nil: it has none.
func Of(ctx context.Context) Writer {
	w, _ := ctx.Value(writerKey{}).(Writer)
	return w
}
