package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
)

// browserAccept is what Chromium and Firefox send for an address that somebody typed.
const browserAccept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// A person who opens the address of the API gets to GraphiQL in development; programs never do.
func TestVisits(t *testing.T) {
	t.Parallel()
	development := startInside(t, sqliteEnviron(t)...)
	production := startInside(t, append(sqliteEnviron(t), "PARLEY_MODE=production")...)
	for _, test := range []struct {
		name, method, query, body string
		header                    http.Header
		isVisit                   bool
	}{
		{name: "a browser", header: http.Header{"Accept": {browserAccept}}, isVisit: true},
		{name: "a browser asks for the head", method: http.MethodHead, header: http.Header{"Accept": {browserAccept}},
			isVisit: true},
		{name: "a browser with a query", query: "?query={__typename}", header: http.Header{"Accept": {browserAccept}}},
		{name: "anything will do", header: http.Header{"Accept": {"*/*"}}},
		{name: "nothing said"},
		{name: "a client of GraphQL", header: http.Header{"Accept": {"application/graphql-response+json"}}},
		{name: "a stream", header: http.Header{"Accept": {"text/event-stream"}}},
		{name: "a WebSocket", header: http.Header{"Accept": {browserAccept}, "Upgrade": {"websocket"}}},
		{name: "a POST", method: http.MethodPost, body: `{"query":"{ __typename }"}`,
			header: http.Header{"Accept": {browserAccept}, "Content-Type": {"application/json"}}},
		{name: "a DELETE", method: http.MethodDelete, header: http.Header{"Accept": {browserAccept}}},
	} {
		for mode, i := range map[string]*instance{"development": development, "production": production} {
			t.Run(test.name+" in "+mode, func(t *testing.T) {
				r, err := http.NewRequestWithContext(t.Context(), test.method, i.url+"/graphql"+test.query,
					strings.NewReader(test.body))
				if err != nil {
					t.Fatal(err)
				}
				if test.header != nil {
					r.Header = test.header
				}
				response, err := http.DefaultTransport.RoundTrip(r) // A client would follow.
				if err != nil {
					t.Fatal(err)
				}
				_ = response.Body.Close() // Not read.
				location := response.Header.Get("Location")
				want := ""
				if test.isVisit && mode == "development" {
					want = "graphiql/"
				}
				if location != want || (response.StatusCode == http.StatusFound) != (want != "") {
					t.Errorf("got %d to %q, want to get to %q", response.StatusCode, location, want)
				}
			})
		}
	}
}

// TestTheRootLeadsOnBelowAPrefix leads from / by an address that a proxy's prefix does not break.
func TestTheRootLeadsOnBelowAPrefix(t *testing.T) {
	t.Parallel()
	i := startInside(t, append(sqliteEnviron(t), "PARLEY_PAGE=off")...)
	proxy := httptest.NewServer(http.StripPrefix("/chat", httputil.NewSingleHostReverseProxy(mustURL(t, i.url))))
	t.Cleanup(proxy.Close)
	for _, path := range []string{"/chat/", "/chat/graphiql"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, proxy.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", browserAccept)
		response, err := client.Do(r) // It follows.
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close() // Not read.
		if got := response.Request.URL.Path; got != "/chat/graphiql/" || response.StatusCode != http.StatusOK {
			t.Errorf("%s leads to %s, which is %d, want /chat/graphiql/", path, got, response.StatusCode)
		}
	}
}

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
