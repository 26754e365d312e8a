package web_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"strconv"
	"strings"
	"testing"

	"parley/web"
)

func TestGraphiQLServesEveryFile(t *testing.T) {
	t.Parallel()
	handler := web.GraphiQL()
	wantTypes := map[string]string{
		".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
		".md": "text/plain; charset=utf-8", ".svg": "image/svg+xml", ".ttf": "font/ttf", ".woff2": "font/woff2",
	}
	for name, gzipped := range builtFiles(t, "dist/graphiql") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain := gunzip(t, gzipped)
			target := "/graphiql/" + name

			zip := get(t, handler, target, "Accept-Encoding", "gzip, deflate, br")
			check(t, "gzip status", zip.Code, http.StatusOK)
			check(t, "Content-Encoding", zip.Header().Get("Content-Encoding"), "gzip")
			check(t, "gzip Content-Length", zip.Header().Get("Content-Length"), strconv.Itoa(len(gzipped)))
			if !bytes.Equal(zip.Body.Bytes(), gzipped) {
				t.Error("the gzip body is not the embedded file")
			}

			identity := get(t, handler, target)
			check(t, "plain status", identity.Code, http.StatusOK)
			check(t, "plain Content-Encoding", identity.Header().Get("Content-Encoding"), "")
			check(t, "plain Content-Length", identity.Header().Get("Content-Length"), strconv.Itoa(len(plain)))
			if !bytes.Equal(identity.Body.Bytes(), plain) {
				t.Error("the plain body is not the content of the embedded file")
			}

			wantCache := "no-cache"
			if strings.HasPrefix(name, "assets/") {
				wantCache = "public, max-age=31536000, immutable"
			}
			for _, response := range []*httptest.ResponseRecorder{zip, identity} {
				check(t, "Content-Type", response.Header().Get("Content-Type"), wantTypes[path.Ext(name)])
				check(t, "Cache-Control", response.Header().Get("Cache-Control"), wantCache)
				check(t, "Vary", response.Header().Get("Vary"), "Accept-Encoding")
				checkSecurityHeaders(t, response)
			}
			if zip.Header().Get("ETag") == identity.Header().Get("ETag") {
				t.Errorf("both encodings have ETag %s, want two different ones", zip.Header().Get("ETag"))
			}
		})
	}
}

// The build must hold what the page needs, with names that change when the content does.
func TestGraphiQLBuildIsComplete(t *testing.T) {
	t.Parallel()
	files := builtFiles(t, "dist/graphiql")
	index := string(gunzip(t, files["index.html"]))
	if !strings.Contains(index, "<title>Parley GraphiQL</title>") {
		t.Error("index.html lacks the title")
	}
	for _, part := range strings.Split(index, `"`) {
		name, isLocal := strings.CutPrefix(part, "./")
		if strings.Contains(part, "://") {
			t.Errorf("index.html refers to %s, want nothing outside of the page", part)
		}
		if _, ok := files[name]; isLocal && !ok {
			t.Errorf("index.html refers to %s, which is not in the build", part)
		}
	}
	var total int
	for _, gzipped := range files {
		total += len(gzipped)
	}
	if total > 3<<20 {
		t.Errorf("the build has %d bytes, want at most 3 MiB", total)
	}
}

func TestGraphiQLIndex(t *testing.T) {
	t.Parallel()
	handler := web.GraphiQL()
	index := get(t, handler, "/graphiql/", "Accept-Encoding", "gzip")
	check(t, "status", index.Code, http.StatusOK)
	check(t, "Content-Type", index.Header().Get("Content-Type"), "text/html; charset=utf-8")
	check(t, "Cache-Control", index.Header().Get("Cache-Control"), "no-cache")

	etag := index.Header().Get("ETag")
	for _, condition := range []string{etag, "W/" + etag, `"other", ` + etag, "*"} {
		again := get(t, handler, "/graphiql/", "Accept-Encoding", "gzip", "If-None-Match", condition)
		check(t, "status for If-None-Match "+condition, again.Code, http.StatusNotModified)
		check(t, "length of a 304", again.Body.Len(), 0)
	}
	// A tag of the other encoding is a tag of other bytes.
	check(t, "status for a stale tag", get(t, handler, "/graphiql/", "If-None-Match", etag).Code, http.StatusOK)
}

func TestGraphiQLChoosesTheEncoding(t *testing.T) {
	t.Parallel()
	handler := web.GraphiQL()
	for accept, want := range map[string]string{
		"gzip": "gzip", "GZIP;q=0.5": "gzip", "br, gzip": "gzip", "*": "gzip", "x-gzip": "gzip",
		"br;q=1, gzip ; q=0.1": "gzip",
		"":                     "", "identity": "", "br": "", "gzip;q=0": "", "gzip; q=0.000, *": "", "*;q=0": "",
		"gzip;q=x": "",
		"gzipped":  "",
	} {
		response := get(t, handler, "/graphiql/", "Accept-Encoding", accept)
		check(t, "Content-Encoding for "+strconv.Quote(accept), response.Header().Get("Content-Encoding"), want)
	}
}

func TestGraphiQLRedirectIsRelative(t *testing.T) {
	t.Parallel()
	response := get(t, web.GraphiQL(), "/graphiql")
	check(t, "status", response.Code, http.StatusPermanentRedirect)
	check(t, "Location", response.Header().Get("Location"), "graphiql/")
	checkSecurityHeaders(t, response)
}

func TestGraphiQLAnswersHead(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(web.GraphiQL())
	t.Cleanup(server.Close)
	for _, encoding := range []string{"gzip", "identity"} {
		headers := map[string]http.Header{}
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			request, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/graphiql/", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Accept-Encoding", encoding)
			response, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			_ = response.Body.Close() // Nothing is left to read, so closing cannot lose anything.
			if err != nil {
				t.Fatal(err)
			}
			check(t, method+" status", response.StatusCode, http.StatusOK)
			check(t, method+" has a body", len(body) > 0, method == http.MethodGet)
			headers[method] = response.Header
		}
		for _, name := range []string{"Content-Length", "Content-Type", "Content-Encoding", "ETag"} {
			check(t, "HEAD "+name, headers[http.MethodHead].Get(name), headers[http.MethodGet].Get(name))
		}
	}
}

func TestGraphiQLRefusesOtherMethods(t *testing.T) {
	t.Parallel()
	handler := web.GraphiQL()
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, httptest.NewRequest(method, "/graphiql/", nil))
		check(t, method+" status", response.Code, http.StatusMethodNotAllowed)
		check(t, method+" Allow", response.Header().Get("Allow"), "GET, HEAD")
		checkSecurityHeaders(t, response)
	}
}

func TestGraphiQLUnknownPaths(t *testing.T) {
	t.Parallel()
	handler := web.GraphiQL()
	for _, target := range []string{
		"/graphiql/missing.js", "/graphiql/assets", "/graphiql/assets/", "/graphiql/index.html.gz",
		"/graphiql//index.html",
		"/graphiql/../graphiql/index.html", "/graphiql/%2e%2e/%2e%2e/web.go", "/graphiql/..%2fweb.go",
		"/graphiqlindex.html", "/", "/other",
	} {
		response := get(t, handler, target)
		check(t, "status of "+target, response.Code, http.StatusNotFound)
		checkSecurityHeaders(t, response)
	}
}

// builtFiles reads the build from disk: the gzip form of each file by the name under which it is served.
func builtFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	build := os.DirFS(dir)
	files := map[string][]byte{}
	err := fs.WalkDir(build, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files[strings.TrimSuffix(name, ".gz")], err = fs.ReadFile(build, name)
		return err
	})
	if err != nil {
		t.Fatalf("read the build: %v", err)
	}
	return files
}

func gunzip(t *testing.T, gzipped []byte) []byte {
	t.Helper()
	reader, err := gzip.NewReader(bytes.NewReader(gzipped))
	if err != nil {
		t.Fatalf("open gzip: %v", err)
	}
	if !reader.ModTime.IsZero() || reader.Name != "" {
		t.Errorf("gzip header has time %v and name %q, want none: builds must be identical", reader.ModTime,
			reader.Name)
	}
	plain, err := io.ReadAll(reader)
	if err != nil {
		t.Fatalf("read gzip: %v", err)
	}
	return plain
}

// get sends a GET with pairs of header name and value.
func get(t *testing.T, handler http.Handler, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, request)
	return response
}

func checkSecurityHeaders(t *testing.T, response *httptest.ResponseRecorder) {
	t.Helper()
	check(t, "Content-Security-Policy", response.Header().Get("Content-Security-Policy"),
		"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "+
			"connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	check(t, "X-Content-Type-Options", response.Header().Get("X-Content-Type-Options"), "nosniff")
	check(t, "Referrer-Policy", response.Header().Get("Referrer-Policy"), "no-referrer")
	check(t, "Cross-Origin-Opener-Policy", response.Header().Get("Cross-Origin-Opener-Policy"), "same-origin")
}

func check[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
