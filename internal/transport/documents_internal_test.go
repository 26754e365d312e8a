package transport

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/99designs/gqlgen/graphql"
)

const known = "query known { n }"

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func apollo(hash string) map[string]any {
	return map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": hash}}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	for _, manifest := range []string{
		`{"abc": "query known { n }"}`,
		`{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": "abc", "name": "known", "type": "query", "body": "query known { n }"}]}`,
	} {
		d, err := ParseDocuments([]byte(manifest))
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			params     graphql.RawParams
			open, only string // the code that refuses it, "" when it passes
			query      string
		}{
			"by id": {graphql.RawParams{Extensions: map[string]any{documentIDKey: "abc"}}, "", "",
				known},
			"by hash": {graphql.RawParams{Extensions: apollo(hashOf(known))}, "", "", known},
			"by hash, with text": {graphql.RawParams{Query: known, Extensions: apollo(hashOf(known))}, "", "",
				known},
			"text alone":   {graphql.RawParams{Query: known}, "", "", known},
			"another text": {graphql.RawParams{Query: "{ m }"}, "", "FORBIDDEN", "{ m }"},
			"by hash, with text that looks otherwise": {graphql.RawParams{Query: "query known {\n  n\n}",
				Extensions: apollo(hashOf(known))}, "", "", known},
			"by id, with another text": {graphql.RawParams{Query: "{ m }",
				Extensions: map[string]any{documentIDKey: "abc"}}, "", "", known},
			"by hash, with another text": {graphql.RawParams{Query: "{ m }", Extensions: apollo(hashOf(known))}, "",
				"", known},
			"unknown id": {graphql.RawParams{Extensions: map[string]any{documentIDKey: "abd"}},
				"PERSISTED_QUERY_NOT_FOUND", "PERSISTED_QUERY_NOT_FOUND", ""},
			"unknown hash": {graphql.RawParams{Extensions: apollo(hashOf("{ m }"))},
				"PERSISTED_QUERY_NOT_FOUND", "PERSISTED_QUERY_NOT_FOUND", ""},
			"unknown hash and text": {graphql.RawParams{Query: "{ m }", Extensions: apollo(hashOf("{ m }"))}, "",
				"FORBIDDEN", "{ m }"},
		} {
			for _, only := range []bool{false, true} {
				d.Only = only
				params := c.params
				extensions := make(map[string]any)
				for k, v := range c.params.Extensions {
					extensions[k] = v
				}
				params.Extensions = extensions
				want := c.open
				if only {
					want = c.only
				}
				got := ""
				if err := d.resolve(&params); err != nil {
					got = code(err)
				}
				if got != want || got == "" && params.Query != c.query {
					t.Errorf("%s, only known %v: %q with %q, want %q with %q", name, only, got, params.Query, want,
						c.query)
				}
			}
		}
	}
	var none *Documents
	if err := none.resolve(&graphql.RawParams{Query: "{ n }"}); err != nil {
		t.Errorf("without documents: %v", err)
	}
	for _, extensions := range []map[string]any{apollo("x"), {documentIDKey: "abc"}} {
		if err := none.resolve(&graphql.RawParams{Extensions: extensions}); err == nil ||
			err.Message != "PersistedQueryNotSupported" || code(err) != "PERSISTED_QUERY_NOT_SUPPORTED" {
			t.Errorf("without documents an id gives %v, want PersistedQueryNotSupported, on which Apollo sends "+
				"texts from then on", err)
		}
	}
	both := graphql.RawParams{Query: "{ n }", Extensions: apollo("x")}
	if err := none.resolve(&both); err != nil || both.Query != "{ n }" {
		t.Errorf("without documents a text with an id gives %v, want the text", err)
	}
}

func TestManifestsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, manifest := range []string{
		``, `[]`, `{}`, `{"a": 1}`, `{"a": ""}`, `{"": "{ n }"}`, `{"format": "other", "operations": []}`,
		`{"format": "apollo-persisted-query-manifest", "version": 2, "operations": [{"id": "a", "body": "{ n }"}]}`,
		`{"format": "apollo-persisted-query-manifest", "version": 1, "operations": []}`,
	} {
		if _, err := ParseDocuments([]byte(manifest)); err == nil {
			t.Errorf("%s is taken for a manifest", manifest)
		}
	}
}

// Manifests of several authors are one, unless they disagree about an id.
func TestSeveralManifests(t *testing.T) {
	t.Parallel()
	one, other := []byte(`{"a": "{ n }", "b": "{ m }"}`), []byte(`{"c": "{ k }", "b": "{ m }"}`)
	d, err := ParseDocuments(one, other)
	if err != nil {
		t.Fatal(err)
	}
	for id, text := range map[string]string{"a": "{ n }", "b": "{ m }", "c": "{ k }", hashOf("{ k }"): "{ k }"} {
		params := graphql.RawParams{Extensions: map[string]any{documentIDKey: id}}
		if err := d.resolve(&params); err != nil || params.Query != text {
			t.Errorf("%s: %q, %v, want %q", id, params.Query, err, text)
		}
	}
	if _, err := ParseDocuments(one, []byte(`{"a": "{ k }"}`)); err == nil {
		t.Error("one id has two documents")
	}
	if _, err := ParseDocuments(one, []byte(`{}`)); err == nil {
		t.Error("an empty manifest beside another is accepted")
	}
	if _, err := ParseDocuments(); err == nil {
		t.Error("no manifest is accepted")
	}
}
