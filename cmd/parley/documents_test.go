package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Operations known beforehand run by their id, and with PARLEY_DOCUMENTS_ONLY
// nothing else does.
func TestKnownDocuments(t *testing.T) {
	t.Parallel()
	manifest := filepath.Join(t.TempDir(), "documents.json")
	const known = "query Known { viewer { name } }"
	signUp := "mutation Up($input: SignUpInput!) { signUp(input: $input) { accessToken } }"
	text := `{"known-1": "` + known + `", "up-1": "` + signUp + `"}`
	if err := os.WriteFile(manifest, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, only := range []string{"off", "on"} {
		s := startInside(t, append(sqliteEnviron(t), "PARLEY_DOCUMENTS="+manifest, "PARLEY_DOCUMENTS_ONLY="+only)...)
		for _, c := range []struct{ body, code, code2 string }{
			{`{"documentId": "known-1"}`, "", ""},
			{`{"doc_id": "known-1"}`, "", ""},
			{`{"query": "` + known + `"}`, "", ""},
			{`{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "33aa11"}}}`, "PERSISTED_QUERY_NOT_FOUND",
				"PERSISTED_QUERY_NOT_FOUND"},
			{`{"query": "{ viewer { id } }"}`, "", "FORBIDDEN"},
			{`{"query": "{ models { name } }", "documentId": "known-1"}`, "", ""}, // The id is what counts.
			{`{"query": "{ __typename }", "documentId": "known-2"}`, "", "FORBIDDEN"},
		} {
			want := c.code
			if only == "on" {
				want = c.code2
			}
			r, err := client.Post(s.url+"/graphql", "application/json", strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			_ = r.Body.Close() // Read to its end.
			got := string(body)
			if want == "" && strings.Contains(got, `"errors"`) || want != "" &&
				!strings.Contains(got, `"code":"`+want+`"`) {
				t.Errorf("only known %s: %s: got %s, want the code %q", only, c.body, got, want)
			}
		}
	}
	for name, text := range map[string]string{"empty": "{}", "no JSON": "known", "missing": ""} {
		path := filepath.Join(t.TempDir(), "documents.json")
		if text != "" {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r := command(t, append(sqliteEnviron(t), "PARLEY_DOCUMENTS="+path), "", "serve")
		if r.code == 0 || !strings.Contains(r.stderr, "PARLEY_DOCUMENTS") {
			t.Errorf("%s: exit %d with %q, want the start refused by name", name, r.code, r.stderr)
		}
	}
}
