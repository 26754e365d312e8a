// Package web owns the pages that the binary serves: built by Node, committed under dist as gzip files, and embedded,
// so that a Parley server needs neither Node nor the internet. It knows how to serve files and nothing about chat.
//
// Its one invariant: a page comes from this binary alone. The content security policy forbids anything else.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// The "all:" prefix keeps files whose names start with "_" or ".", which a bundler is free to emit.
//
//go:embed all:dist
var dist embed.FS

// graphiqlPolicy is the strictest policy under which GraphiQL works: the Monaco editor sets inline styles and has its
// fonts in data URLs, but needs neither eval nor blob workers. 'self' in connect-src covers the WebSocket.
const graphiqlPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"font-src 'self' data:; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// contentTypes lists what a build may contain. The table of the operating system would differ between machines.
var contentTypes = map[string]string{
	".css":         "text/css; charset=utf-8",
	".html":        "text/html; charset=utf-8",
	".js":          "text/javascript; charset=utf-8",
	".json":        "application/json",
	".md":          "text/plain; charset=utf-8",
	".png":         "image/png",
	".svg":         "image/svg+xml",
	".ttf":         "font/ttf",
	".txt":         "text/plain; charset=utf-8",
	".webmanifest": "application/manifest+json",
	".woff2":       "font/woff2",
}

// GraphiQL returns a handler for the GraphiQL page, to be mounted at both /graphiql and /graphiql/. The page talks to
// ../graphql relative to itself, so a proxy may serve the two under any common path. It is safe for concurrent use.
//
// It answers GET and HEAD with 200, 304, or 404, and with 308 for /graphiql; other methods get 405. It panics
// when the embedded build is incomplete, which the tests of this package exclude.
func GraphiQL() http.Handler {
	files, err := readBuild("dist/graphiql")
	if err != nil {
		panic(fmt.Sprintf("web: read GraphiQL build: %v", err))
	}
	return &pages{root: "/graphiql", policy: graphiqlPolicy, files: files}
}

// pages serves one build below root. It is not changed after it is made.
type pages struct {
	root   string
	policy string
	files  map[string]file // by path relative to root; the empty path is index.html
}

// file is one file in its gzip form, embedded unless it was made for this server.
type file struct {
	path        string // in dist
	made        []byte // instead of what is there
	contentType string
	isHashed    bool // the name changes with the content
	// read returns what is known of the content. The first call reads it: a server whose page nobody opens does
	// without, and one whose page somebody does has no copy of it in memory.
	read func() (content, error)
}

// content is what is known of the content of a file.
type content struct {
	size, plainSize int64
	hash            string
}

func readBuild(dir string) (map[string]file, error) {
	files := map[string]file{}
	err := fs.WalkDir(dist, dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		served, isGzip := strings.CutSuffix(strings.TrimPrefix(name, dir+"/"), ".gz")
		contentType, isKnown := contentTypes[path.Ext(served)]
		if !isGzip || !isKnown {
			return fmt.Errorf("unexpected file %s", name)
		}
		files[served] = file{
			path:        name,
			contentType: contentType,
			isHashed:    strings.HasPrefix(served, "assets/"),
			read: sync.OnceValues(func() (content, error) {
				gzipped, err := dist.ReadFile(name)
				if err != nil {
					return content{}, err
				}
				return contentOf(name, gzipped)
			}),
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	index, ok := files["index.html"]
	if !ok {
		return nil, fmt.Errorf("no index.html in %s", dir)
	}
	files[""] = index
	return files, nil
}

func contentOf(name string, gzipped []byte) (content, error) {
	if len(gzipped) < 18 { // the header and the trailer of RFC 1952
		return content{}, fmt.Errorf("truncated file %s", name)
	}
	hash := sha256.Sum256(gzipped)
	return content{
		size:      int64(len(gzipped)),
		plainSize: int64(binary.LittleEndian.Uint32(gzipped[len(gzipped)-4:])),
		hash:      hex.EncodeToString(hash[:16]),
	}, nil
}

// ServeHTTP implements http.Handler.
func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !begin(w, r, p.policy) {
		return
	}
	if r.URL.Path == p.root {
		// Not http.Redirect: it makes the address absolute, which breaks below the sub-path of a proxy.
		w.Header().Set("Location", path.Base(p.root)+"/")
		w.WriteHeader(http.StatusPermanentRedirect)
		return
	}
	name, isBelow := strings.CutPrefix(r.URL.Path, p.root+"/")
	f, ok := p.files[name]
	if !isBelow || !ok {
		http.NotFound(w, r)
		return
	}
	f.serve(w, r)
}

// begin sets what every answer of a page has. It returns false when it has answered.
func begin(w http.ResponseWriter, r *http.Request, policy string) bool {
	header := w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return true
	}
	header.Set("Allow", "GET, HEAD")
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	return false
}

func (f file) serve(w http.ResponseWriter, r *http.Request) {
	known, err := f.read()
	if err != nil {
		http.Error(w, "unreadable file", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Vary", "Accept-Encoding")
	sendGzip := acceptsGzip(r.Header.Values("Accept-Encoding"))
	etag := `"` + known.hash + `"`
	if sendGzip {
		etag = `"` + known.hash + `-gzip"`
	}
	header.Set("ETag", etag)
	if f.isHashed {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		header.Set("Cache-Control", "no-cache")
	}
	if matches(r.Header.Values("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}

	header.Set("Content-Type", f.contentType)
	body, err := f.open(sendGzip)
	if err != nil {
		http.Error(w, "unreadable file", http.StatusInternalServerError)
		return
	}
	size := known.plainSize
	if sendGzip {
		header.Set("Content-Encoding", "gzip")
		size = known.size
	}
	header.Set("Content-Length", strconv.FormatInt(size, 10))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		// An error here is a client that went away; there is nobody left to tell.
		_, _ = io.Copy(w, body)
	}
}

// open returns the file in its gzip form, or its plain one. There is nothing to close.
func (f file) open(gzipped bool) (io.Reader, error) {
	var body io.Reader = bytes.NewReader(f.made)
	if f.made == nil {
		embedded, err := dist.Open(f.path)
		if err != nil {
			return nil, err
		}
		body = embedded
	}
	if gzipped {
		return body, nil
	}
	return gzip.NewReader(body)
}

// remake returns the file with another content, which change makes of its own.
func (f file) remake(change func(plain []byte) ([]byte, error)) (file, error) {
	body, err := f.open(false)
	if err != nil {
		return f, err
	}
	plain, err := io.ReadAll(body)
	if err != nil {
		return f, err
	}
	if plain, err = change(plain); err != nil {
		return f, fmt.Errorf("%s: %w", f.path, err)
	}
	var made bytes.Buffer
	// A bytes.Buffer takes everything, and the level is one that there is.
	z, _ := gzip.NewWriterLevel(&made, gzip.BestCompression)
	_, _ = z.Write(plain)
	_ = z.Close()
	known, err := contentOf(f.path, made.Bytes())
	f.made = made.Bytes()
	f.read = func() (content, error) { return known, err }
	return f, err
}

// acceptsGzip reads Accept-Encoding as RFC 9110 12.5.3 says: an explicit entry for gzip wins over "*", and q=0 refuses.
func acceptsGzip(values []string) bool {
	var byStar bool
	for entry := range strings.SplitSeq(strings.Join(values, ","), ",") {
		coding, parameters, _ := strings.Cut(entry, ";")
		isWanted := !isZeroQuality(parameters)
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			return isWanted
		case "*":
			byStar = isWanted
		}
	}
	return byStar
}

func isZeroQuality(parameters string) bool {
	name, value, _ := strings.Cut(parameters, "=")
	if !strings.EqualFold(strings.TrimSpace(name), "q") {
		return false
	}
	quality, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return err != nil || quality <= 0
}

// matches compares weakly, as If-None-Match demands: proxies that compress turn a strong tag into a weak one.
func matches(values []string, etag string) bool {
	for candidate := range strings.SplitSeq(strings.Join(values, ","), ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == etag {
			return true
		}
	}
	return false
}
