package transport

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestDistinctNames(t *testing.T) {
	t.Parallel()
	many := func(more string) string {
		var b strings.Builder
		for i := range 100 {
			fmt.Fprintf(&b, `"n%d":{"a":1},`, i)
		}
		return "[{" + b.String() + more + "}]"
	}
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for text, want := range map[string]bool{
		``:                                      true,
		`null`:                                  true,
		`{}`:                                    true,
		` { "a" : "a" , "b" : [ "a" , "b" ] } `: true,
		`{"a":{"a":{"a":1}},"b":{"a":1}}`:       true,
		`[{"a":1},{"a":2}]`:                     true,
		`{"a":"\"a\":1,\\","b":"}{","c":1}`:     true,
		`{"a":["a","a"],"":1}`:                  true,
		`{"a":{"b":1,"B":2}}`:                   true, // Only ours are found in any case.
		`{"a":1,"b":2,"a":3}`:                   false,
		`{"a":1,"A":2}`:                         false,
		`{"K":1,"k":2}`:                         false,
		`{"a":{"b":1,"b":2}}`:                   false,
		`{"a":[[{"b":1},{"b":1,"b":2}]]}`:       false,
		`{"\"":1,"\u0022":2}`:                   false,
		`{"x":[1,2],"y":{},"x":null}`:           false,
		`{"":1,"":2}`:                           false,
		nested(64):                              true,
		nested(65):                              false,
		many(`"other":1`):                       true,
		many(`"n0":1`):                          false,
		many(`"n99":1`):                         false,
	} {
		if text != "" && !json.Valid([]byte(text)) {
			t.Fatalf("%s is not JSON", text)
		}
		if got := distinctNames([]byte(text)); got != want {
			t.Errorf("%.60s: got %v, want %v", text, got, want)
		}
	}
}
