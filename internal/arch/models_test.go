package arch_test

import (
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// exampleModels are the names that stand for the default model where readers are told to set
// one: of OpenAI, of Ollama, and the built-in ones.
var exampleModels = []string{"gpt-4.1-mini", "llama3.2", "eliza", "script"}

var (
	// setModel is a default model that is set in a shell, in YAML, or in the table of the
	// configuration.
	setModel = regexp.MustCompile(`PARLEY_MODELS?[=:]\s*["']?([A-Za-z0-9][A-Za-z0-9._:/-]*)`)
	// shownModel is the example of the table.
	shownModel = regexp.MustCompile(`"PARLEY_MODELS?"(?s:.*?)example:\s*"([^",]+)`)
)

// otherModels finds default models that readers are shown by another name.
func otherModels(house fs.FS) ([]string, error) {
	var bad []string
	err := fs.WalkDir(house, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && (entry.Name() == "node_modules" || strings.HasPrefix(entry.Name(), ".") ||
				slices.Contains([]string{"internal", "test", "compat", "ent", "graph", "web"}, name)) {
				return fs.SkipDir
			}
			return nil
		}
		shown := setModel
		if name == "cmd/parley/config_table.go" {
			shown = shownModel
		} else if strings.HasPrefix(name, "cmd/") {
			return nil
		}
		text, err := fs.ReadFile(house, name)
		if err != nil {
			return err
		}
		for _, m := range shown.FindAllSubmatch(text, -1) {
			if model := strings.TrimRight(string(m[1]), "."); !slices.Contains(exampleModels, model) {
				bad = append(bad, fmt.Sprintf("%s: the default model is %s, want one of %s", name, model,
					strings.Join(exampleModels, ", ")))
			}
		}
		return nil
	})
	return bad, err
}

func TestDefaultModelHasOneName(t *testing.T) {
	t.Parallel()
	bad, err := otherModels(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bad {
		t.Error(b)
	}
}

func TestDefaultModelHasOneNameFindsViolations(t *testing.T) {
	t.Parallel()
	bad, err := otherModels(fstest.MapFS{
		"README.md": {Data: []byte("PARLEY_MODEL=gpt-4.1-mini PARLEY_MODEL=llama3.2 " +
			"parley\nPARLEY_MODEL=gpt-4o-mini")},
		"deploy/compose.yaml": {Data: []byte("PARLEY_MODELS: \"mistral,b\"\nPARLEY_MODEL: ${PARLEY_MODEL:-}\n")},
		"cmd/parley/config_table.go": {Data: []byte("name: \"PARLEY_MODELS\",\nexample: \"gpt-4.1-mini,x\",\nname: " +
			"\"PARLEY_MODEL\",\nexample: \"o3\",")},
		"internal/x.go": {Data: []byte("PARLEY_MODEL=other")},
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(bad)
	if len(bad) != 3 || !strings.Contains(bad[0], "is gpt-4o-mini") || !strings.Contains(bad[1], "is o3") ||
		!strings.Contains(bad[2], "is mistral") {
		t.Errorf("got %q, want gpt-4o-mini, o3 and mistral", bad)
	}
}
