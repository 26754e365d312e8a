package web_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"parley/web"
)

// chat is the page as it is mounted.
func chat() http.Handler { return chatNamed("Parley") }

func chatNamed(name string) http.Handler {
	page, mux := web.NewChat(name), http.NewServeMux()
	for _, pattern := range page.Patterns() {
		mux.Handle(pattern, page)
	}
	return mux
}

func checkChatHeaders(t *testing.T, response *httptest.ResponseRecorder) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; " +
			"img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; " +
			"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin",
	} {
		check(t, name, response.Header().Get(name), want)
	}
}

// Every file of the build is served as it is, in both encodings, and hashed ones for ever.
func TestChatServesEveryFile(t *testing.T) {
	t.Parallel()
	handler := chat()
	for name, gzipped := range builtFiles(t, "dist/chat") {
		switch name {
		case "index.html":
			name = ""
		case "documents.json":
			check(t, "status of the list of operations", get(t, handler, "/"+name).Code, http.StatusNotFound)
			continue
		}
		plain := gunzip(t, gzipped)
		zip := get(t, handler, "/"+name, "Accept-Encoding", "gzip")
		identity := get(t, handler, "/"+name)
		check(t, name+" Content-Encoding", zip.Header().Get("Content-Encoding"), "gzip")
		check(t, name+" Content-Length", zip.Header().Get("Content-Length"), strconv.Itoa(len(gzipped)))
		if !bytes.Equal(zip.Body.Bytes(), gzipped) || !bytes.Equal(identity.Body.Bytes(), plain) {
			t.Errorf("%q: the body is not that of the build", name)
		}
		cache := "no-cache"
		if strings.HasPrefix(name, "assets/") {
			cache = "public, max-age=31536000, immutable"
		}
		for _, response := range []*httptest.ResponseRecorder{zip, identity} {
			check(t, name+" status", response.Code, http.StatusOK)
			check(t, name+" Cache-Control", response.Header().Get("Cache-Control"), cache)
			checkChatHeaders(t, response)
			check(t, name+" Permissions-Policy", response.Header().Get("Permissions-Policy"),
				"camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()")
		}
		if path.Ext(name) == ".webmanifest" {
			check(t, name+" Content-Type", zip.Header().Get("Content-Type"), "application/manifest+json")
		}
		again := get(t, handler, "/"+name, "Accept-Encoding", "gzip", "If-None-Match", zip.Header().Get("ETag"))
		check(t, name+" status for its tag", again.Code, http.StatusNotModified)
	}
}

// The name of an installation is in what a browser shows before the page runs, and is nothing but a name there.
func TestChatName(t *testing.T) {
	t.Parallel()
	built := chat()
	for _, name := range []string{
		"Ada & Söhne", `</title><script>alert(1)</script>`, `"quoted", \ and 'so on'`,
		"<!-- --> ]]> ${x} \u202e漢字😀", "$1",
	} {
		handler := chatNamed(name)
		for path, read := range map[string]func(plain []byte) []string{
			"/": titleOf, "/c/x": titleOf, "/manifest.webmanifest": namesOf,
		} {
			plain, zip := get(t, handler, path), get(t, handler, path, "Accept-Encoding", "gzip")
			for _, got := range read(plain.Body.Bytes()) {
				check(t, "name in "+path, got, name)
			}
			check(t, path+" in gzip", string(gunzip(t, zip.Body.Bytes())), plain.Body.String())
			check(t, path+" size", plain.Header().Get("Content-Length"), strconv.Itoa(plain.Body.Len()))
			check(t, path+" size in gzip", zip.Header().Get("Content-Length"), strconv.Itoa(zip.Body.Len()))
			if tag := plain.Header().Get("ETag"); tag == get(t, built, path).Header().Get("ETag") {
				t.Errorf("%s under the name %q has the tag of the page without it", path, name)
			} else {
				again := get(t, handler, path, "If-None-Match", tag)
				check(t, path+" status for its tag", again.Code, http.StatusNotModified)
			}
			check(t, path+" Cache-Control", plain.Header().Get("Cache-Control"), "no-cache")
			checkChatHeaders(t, plain)
		}
		// What a page is made of is the same but for its title.
		named, original := get(t, handler, "/").Body.String(), get(t, built, "/").Body.String()
		check(t, "scripts", strings.Count(named, "<script"), strings.Count(original, "<script"))
	}
}

func titleOf(page []byte) []string {
	_, rest, _ := strings.Cut(string(page), "<title>")
	title, _, _ := strings.Cut(rest, "</title>")
	return []string{html.UnescapeString(title)}
}

func namesOf(manifest []byte) []string {
	var m struct {
		Name      string `json:"name"`
		ShortName string `json:"short_name"`
		Target    any    `json:"share_target"`
	}
	if err := json.Unmarshal(manifest, &m); err != nil || m.Target == nil {
		return []string{fmt.Sprintf("no manifest: %v", err)}
	}
	return []string{m.Name, m.ShortName}
}

// All views are one document, which names nothing that is not there.
func TestChatViews(t *testing.T) {
	t.Parallel()
	handler := chat()
	index := string(gunzip(t, builtFiles(t, "dist/chat")["index.html"]))
	for _, target := range []string{
		"/", "/c/cnv_01", "/c/index.html", "/s", "/sign-in", "/sign-up", "/auth/", "/auth/a/b",
	} {
		response := get(t, handler, target)
		check(t, "status of "+target, response.Code, http.StatusOK)
		check(t, "Cache-Control of "+target, response.Header().Get("Cache-Control"), "no-cache")
		check(t, "Content-Type of "+target, response.Header().Get("Content-Type"), "text/html; charset=utf-8")
		check(t, target+" is the page", response.Body.String(), index)
		checkChatHeaders(t, response)
	}
	for _, part := range strings.Split(index, `"`) {
		if strings.Contains(part, "://") {
			t.Errorf("index.html refers to %s, want nothing outside of the page", part)
		}
		if name, isLocal := strings.CutPrefix(part, "/"); isLocal && path.Ext(name) != "" &&
			get(t, handler, part).Code != http.StatusOK {
			t.Errorf("index.html refers to %s, which is not in the build", part)
		}
	}
}

func TestChatUnknownPaths(t *testing.T) {
	t.Parallel()
	handler := chat()
	for _, target := range []string{
		"/index.html", "/index.html.gz", "/assets", "/assets/", "/assets/missing.js", "/c", "/c/", "/c/a/b", "/s/",
		"/sign-in/x", "/missing", "/%2e%2e/web.go", "/..%2fweb.go", "/c/..%2f..%2fweb.go/x",
	} {
		check(t, "status of "+target, get(t, handler, target).Code, http.StatusNotFound)
	}
}

func TestChatMethods(t *testing.T) {
	t.Parallel()
	handler := chat()
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, httptest.NewRequest(method, "/c/cnv_01", nil))
		check(t, method+" status", response.Code, http.StatusMethodNotAllowed)
		check(t, method+" Allow", response.Header().Get("Allow"), "GET, HEAD")
		checkChatHeaders(t, response)
	}
	head := httptest.NewRecorder()
	handler.ServeHTTP(head, httptest.NewRequest(http.MethodHead, "/", nil))
	check(t, "HEAD status", head.Code, http.StatusOK)
	check(t, "HEAD body", head.Body.Len(), 0)
	check(t, "HEAD Content-Length", head.Header().Get("Content-Length"),
		get(t, handler, "/").Header().Get("Content-Length"))
}

// What is embedded stays small, and lists the page's operations.
func TestChatBuild(t *testing.T) {
	t.Parallel()
	var total int
	for _, gzipped := range builtFiles(t, "dist/chat") {
		total += len(gzipped)
	}
	if total > 320<<10 {
		t.Errorf("the build has %d bytes, want at most 320 KiB", total)
	}
	manifest, err := web.NewChat("Parley").Documents()
	if err != nil {
		t.Fatal(err)
	}
	var documents map[string]string
	if err := json.Unmarshal(manifest, &documents); err != nil || len(documents) == 0 {
		t.Errorf("documents.json is %.60q, %v, want operations by id", manifest, err)
	}
	if slices.Contains(web.NewChat("Parley").Patterns(), "/documents.json") {
		t.Error("the list of operations is served")
	}
}
