package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Everybody may ask for what a page has to know first, and gets what is true.
func TestSite(t *testing.T) {
	t.Parallel()
	type site struct {
		Name, Version         string
		SignUp                bool
		Suggestions, Features []string
		Issuers               []struct{ Name, URL string }
	}
	ask := func(t *testing.T, token string, environ ...string) site {
		t.Helper()
		var data struct{ Site site }
		startInside(t, append(sqliteEnviron(t), environ...)...).into(t, token,
			`{ site { name signUp issuers { name url } suggestions features version } }`, nil, &data)
		return data.Site
	}
	got := ask(t, "not a token") // An old one must not keep a page from its sign-in.
	if got.Name != "Parley" || !got.SignUp || got.Version == "" || got.Issuers == nil || len(got.Issuers) != 0 ||
		len(got.Suggestions) != 4 || !slices.Equal(got.Features, []string{"graphiql"}) {
		t.Errorf("in development: got %+v", got)
	}
	// Tokens of another issuer are accepted, and no sign-in there can be started from here.
	got = ask(t, "", "PARLEY_MODE=production", "PARLEY_SITE_NAME=Ada's", "PARLEY_SUGGESTIONS=One? | Two",
		"PARLEY_TITLE_MODEL=eliza", "PARLEY_OIDC_ISSUER=i", "PARLEY_OIDC_AUDIENCE=a",
		"PARLEY_OIDC_JWKS_URL=https://localhost:1/keys")
	if got.Name != "Ada's" || got.SignUp || len(got.Issuers) != 0 ||
		!slices.Equal(got.Suggestions, []string{"One?", "Two"}) || !slices.Equal(got.Features, []string{"titles"}) {
		t.Errorf("in production: got %+v", got)
	}
}

// The page is at / in both modes, its views are one document, and what is not there is not there.
func TestPageRoutes(t *testing.T) {
	t.Parallel()
	withPage := startInside(t, append(sqliteEnviron(t), "PARLEY_MODE=production", "PARLEY_ACCESS_LOG=on",
		"PARLEY_SITE_NAME=Ada's <chat>")...)
	without := startInside(t, append(sqliteEnviron(t), "PARLEY_MODE=production", "PARLEY_PAGE=off")...)
	_, index := withPage.get(t, "/")
	if !strings.Contains(index, "<title>Ada&#39;s &lt;chat&gt;</title>") {
		t.Errorf("the page does not have the name of the installation:\n%s", index)
	}
	for _, path := range []string{"/", "/c/cnv_1", "/s", "/sign-in", "/sign-up", "/auth/callback/x"} {
		if status, body := withPage.get(t, path); status != http.StatusOK || body != index {
			t.Errorf("GET %s = %d %.60q, want the page", path, status, body)
		}
		if status := without.status(t, path); status != http.StatusNotFound {
			t.Errorf("PARLEY_PAGE=off: GET %s = %d, want 404", path, status)
		}
	}
	for _, path := range []string{"/index.html", "/documents.json", "/c", "/c/", "/c/a/b", "/nothing", "/assets/",
		"/..%2fweb.go", "/session/other", "/graphiql/"} {
		if status := withPage.status(t, path); status != http.StatusNotFound {
			t.Errorf("GET %s = %d, want 404", path, status)
		}
	}
	if status := without.status(t, "/session"); status != http.StatusNotFound {
		t.Errorf("PARLEY_PAGE=off: GET /session = %d, want 404", status)
	}
	if out := withPage.out.String(); !strings.Contains(out, "route=/c/{conversation}") ||
		strings.Contains(out, "cnv_1") {
		t.Errorf("the access log does not name the route, or names the path:\n%s", out)
	}
}

// A development server keeps its page from strangers as everything else.
func TestPageGate(t *testing.T) {
	t.Parallel()
	i := startInside(t, sqliteEnviron(t)...)
	for _, path := range []string{"/", "/c/cnv_1", "/session/refresh"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "stranger.example"
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close() // Not read.
		if response.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s under another name: %d, want 421", path, response.StatusCode)
		}
	}
}

// Where only known operations run, those of the page do, beside the operator's.
func TestPageDocuments(t *testing.T) {
	t.Parallel()
	if _, err := loadConfig([]string{"PARLEY_DOCUMENTS_ONLY=on", "PARLEY_PAGE=off"}); err == nil {
		t.Error("nothing could be asked, and that is accepted")
	}
	manifest, err := pageDocuments(mustLoad(t))
	if err != nil {
		t.Fatal(err)
	}
	if manifest == nil {
		t.Fatal("the build of the page has no documents.json, so PARLEY_DOCUMENTS_ONLY=on would refuse all it asks")
	}
	var documents map[string]string
	if err := json.Unmarshal(manifest, &documents); err != nil {
		t.Fatal(err)
	}
	i := startInside(t, append(sqliteEnviron(t), "PARLEY_DOCUMENTS_ONLY=on")...)
	for _, document := range documents {
		a := i.ask(t, "", document, nil)
		// Without its variables, so that nothing is done.
		invalid := a.code() == "GRAPHQL_VALIDATION_FAILED" && !strings.Contains(a.Errors[0].Message, "must be defined")
		if a.code() == "FORBIDDEN" || invalid {
			t.Errorf("an operation of the page is refused with %s: %s", a.code(), document)
		}
	}
	if a := i.ask(t, "", "{ __typename }", nil); a.code() != "FORBIDDEN" {
		t.Errorf("another operation: %q, want FORBIDDEN", a.code())
	}
}
