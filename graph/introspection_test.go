package graph_test

import (
	"encoding/json"
	"strings"
	"testing"

	"parley/graph"
)

// What a release holds for tools names each type and field of the schema.
func TestIntrospection(t *testing.T) {
	t.Parallel()
	text, err := graph.Introspection(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Data struct {
			Schema struct {
				Types []struct {
					Name, Description string
					Fields            []struct{ Name, Description string }
				}
			} `json:"__schema"`
		}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatal(err)
	}
	sdl, types := graph.SDL(), 0
	for _, kind := range answer.Data.Schema.Types {
		if strings.HasPrefix(kind.Name, "__") {
			continue
		}
		for _, field := range kind.Fields {
			types++
			if !strings.Contains(sdl, field.Name) || field.Description == "" {
				t.Errorf("%s.%s is not in the SDL, or has no description", kind.Name, field.Name)
			}
		}
	}
	if types < 50 || !strings.Contains(string(text), `"sendMessage"`) {
		t.Errorf("got %d fields, want all of the schema", types)
	}
}
