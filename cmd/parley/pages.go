package main

import (
	"net/http"
	"strings"
)

// toGraphiQL sends a person who opens the address of the API in a browser to the page for trying it. A request with a
// query, or one that does not ask for HTML by name, is for the API.
func toGraphiQL(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isVisit(r) {
			api.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Vary", "Accept")
		redirectToGraphiQL(w, r)
	})
}

// redirectToGraphiQL leads from a page beside GraphiQL to it. Not http.Redirect: it makes the
// address absolute, which breaks below the sub-path of a proxy.
func redirectToGraphiQL(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", "graphiql/")
	w.WriteHeader(http.StatusFound)
}

// isVisit tells whether a request is what a browser sends for an address that somebody typed.
func isVisit(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.URL.RawQuery == "" &&
		r.Header.Get("Upgrade") == "" && r.ContentLength == 0 &&
		strings.Contains(strings.ToLower(r.Header.Get("Accept")), "text/html")
}
