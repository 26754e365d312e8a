package transport_test

import (
	"bytes"
	"fmt"
	"runtime/pprof"
	"strings"
	"testing"
)

// goroutinesWith counts the goroutines with a function on their stacks.
func goroutinesWith(t *testing.T, function string) int {
	t.Helper()
	var stacks bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
		t.Fatal(err)
	}
	n := 0
	for stack := range strings.SplitSeq(stacks.String(), "\n\n") {
		if strings.Contains(stack, function) {
			n++
		}
	}
	return n
}

// Most sockets wait most of the time. One on which a subscription has told its beginning
// has two goroutines, neither of them under an HTTP handler, whose buffers it would hold.
// It is not parallel, so that nobody else has any.
func TestAnIdleSocketHasTwoGoroutines(t *testing.T) {
	b := start(t)
	const sockets = 10
	for range sockets {
		c := b.connect().init("")
		c.subscribe("1", `subscription { once }`)
		c.want("next", "1")
	}
	for function, want := range map[string]int{
		"transport.(*socket).":           2 * sockets,
		"transport.(*socket).serve(":     sockets,
		"transport.(*socket).follow(":    sockets,
		"transport.(*socket).run(":       0,
		"transport.(*Server).ServeHTTP(": 0,
	} {
		eventually(t, fmt.Sprintf("%d goroutines are in %s", want, function),
			func() bool { return goroutinesWith(t, function) == want })
	}
}
