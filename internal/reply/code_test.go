package reply_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/reply"
)

// Clients find each code of a failed reply in the table of the protocol, and people a sentence
// of its own about it.
func TestCodesAreExplained(t *testing.T) {
	t.Parallel()
	var codes []string
	named := regexp.MustCompile(`(?m)^\tCode\w+ +(?:Code )?= (?:"(\w+)"|Code\(refusal\.Code(\w+)\))`)
	for _, m := range named.FindAllStringSubmatch(read(t, "code.go"), -1) {
		word := regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(m[2], "${1}_$2")
		codes = append(codes, m[1]+strings.ToUpper(word))
	}
	_, table, ok := strings.Cut(read(t, "../../docs/protocol.md"), "| `Message.error.code` |")
	if !ok {
		t.Fatal("docs/protocol.md has no table of codes of failed replies")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\|").FindAllStringSubmatch(table, -1) {
		documented = append(documented, m[1])
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(documented)), slices.Sorted(slices.Values(codes))); diff != "" {
		t.Errorf("docs/protocol.md (-) and code.go (+):\n%s", diff)
	}
	said := make(map[string]string)
	for _, code := range codes {
		message, _ := reply.Explain(reply.Code(code))
		if other, twice := said[message]; twice {
			t.Errorf("%s and %s are explained alike: %s", code, other, message)
		}
		said[message] = code
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
