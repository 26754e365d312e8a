package nemesis_test

import (
	"os"
	"slices"
	"testing"

	"parley/test/faults/nemesis"
)

// TestFailpoints makes sure that points in tests do not count.
func TestFailpoints(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.go": `func a() { failpoint.Hit("a.b"); failpoint.Hit("a.a") }`, "b.go": `failpoint.Hit("a.b")`,
		"a_test.go": `failpoint.Hit("a.c")`,
	} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := nemesis.Failpoints(dir)
	if err != nil || !slices.Equal(got, []string{"a.a", "a.b"}) {
		t.Errorf("got %v, %v, want the names a.a and a.b", got, err)
	}
}
