package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// chatPolicy lets the chat page have what is its own, and make HTML of no text. GraphiQL could not live under it.
const chatPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; " +
	"font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'"

// chatPermissions takes from the page what it does not use, so that nothing in it can. A browser complains about names
// that it does not know: these are known by all.
const chatPermissions = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"

// chatDocuments is the list of the page's operations, which is part of its build and is not served.
const chatDocuments = "documents.json"

// chatManifest is what an installed page is called by.
const chatManifest = "manifest.webmanifest"

// chatViews are the addresses of the page: what is shown there is the page's business.
var chatViews = []string{"/{$}", "/c/{conversation}", "/s", "/sign-in", "/sign-up", "/auth/{step...}"}

// Chat is the chat page. It is safe for concurrent use, and is not changed after it is made.
type Chat struct{ files map[string]file }

// NewChat returns the chat page of the binary, under the name of this installation: what a browser shows of a page
// before it runs, and what a phone writes below its icon. It panics when the embedded build is incomplete, which the
// tests of this package exclude.
func NewChat(name string) *Chat {
	files, err := readBuild("dist/chat")
	if err == nil && name != builtName {
		err = rename(files, name)
	}
	if err != nil {
		panic(fmt.Sprintf("web: read the build of the chat page: %v", err))
	}
	return &Chat{files}
}

// builtName is the name of the page in its build.
const builtName = "Parley"

// rename writes another name into the page and its manifest.
func rename(files map[string]file, name string) error {
	quoted, err := json.Marshal(name)
	if err != nil {
		return err
	}
	titled, err := files[""].remake(replace("<title>"+builtName+"<", "<title>"+html.EscapeString(name)+"<", 1))
	if err != nil {
		return err
	}
	files[""], files["index.html"] = titled, titled
	files[chatManifest], err = files[chatManifest].remake(
		replace(`name": "`+builtName+`"`, `name": `+string(quoted), 2)) // "name" and "short_name".
	return err
}

// replace returns what replaces a text that a file must have so many times.
func replace(text, by string, times int) func(plain []byte) ([]byte, error) {
	return func(plain []byte) ([]byte, error) {
		if found := bytes.Count(plain, []byte(text)); found != times {
			return nil, fmt.Errorf("%s is there %d times, want %d", text, found, times)
		}
		return bytes.ReplaceAll(plain, []byte(text), []byte(by)), nil
	}
}

// Patterns lists what the page answers, as patterns of http.ServeMux: its views and its files, and nothing else.
func (c *Chat) Patterns() []string {
	patterns := slices.Clone(chatViews)
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		if c.isServed(name) {
			patterns = append(patterns, "/"+name)
		}
	}
	return patterns
}

// isServed reports whether a file has an address of its own. index.html has those of the views.
func (c *Chat) isServed(name string) bool {
	return name != "" && name != "index.html" && name != chatDocuments
}

// ServeHTTP implements http.Handler, for the paths of Patterns: a path that is no file is a view. It answers GET and
// HEAD with 200 or 304; other methods get 405.
func (c *Chat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !begin(w, r, chatPolicy) {
		return
	}
	header := w.Header()
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", chatPermissions)
	name := strings.TrimPrefix(r.URL.Path, "/")
	f, ok := c.files[name]
	if !ok || !c.isServed(name) {
		f = c.files[""]
	}
	f.serve(w, r)
}

// Documents returns the page's operations, as a manifest from id to document; nothing when the build has none.
func (c *Chat) Documents() ([]byte, error) {
	f, ok := c.files[chatDocuments]
	if !ok {
		return nil, nil // The page sends its operations as text.
	}
	plain, err := f.open(false)
	if err != nil {
		return nil, fmt.Errorf("read the operations of the chat page: %w", err)
	}
	return io.ReadAll(plain)
}
