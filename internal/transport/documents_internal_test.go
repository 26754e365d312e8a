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
			"another's hash": {graphql.RawParams{Query: "{ m }", Extensions: apollo(hashOf(known))}, "",
				"FORBIDDEN", "{ m }"},
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
	if err := none.resolve(&graphql.RawParams{Extensions: apollo("x")}); err == nil ||
		err.Message != "PersistedQueryNotFound" {
		t.Errorf("without documents a hash gives %v, want PersistedQueryNotFound, on which Apollo sends the text", err)
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
