package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"parley/internal/hosts"

	"github.com/99designs/gqlgen/graphql"
)

// The bounds of what a request may have.
const (
	// maxStrangersBody bounds the body while nobody has signed in: enough to do that.
	maxStrangersBody = 64 << 10
	// maxParameters bounds the parameters of a URL. An operation has eight at the most.
	maxParameters = 32
	// maxContentType bounds the header, in bytes.
	maxContentType = 256
)

// badRequest is a request that carries no GraphQL operation. Its text holds nothing of what
// the client sent, except of a header that is to blame.
type badRequest struct {
	status  int
	message string
	header  string // "": none is to blame.
}

func (e *badRequest) Error() string { return e.message }

// operationRequest is a GraphQL request in its JSON form (GraphQL over HTTP, 5.3),
// with the names under which clients send the id of a known document.
type operationRequest struct {
	Query         *string         `json:"query"`
	OperationName *string         `json:"operationName"`
	Variables     json.RawMessage `json:"variables"`
	Extensions    json.RawMessage `json:"extensions"`
	DocumentID    *string         `json:"documentId"` // GraphQL over HTTP, persisted documents appendix
	DocID         *string         `json:"doc_id"`     // Relay
	ID            *string         `json:"id"`         // Relay's older examples
}

// errTwice is for names that mean two things at once. Whoever reads such a request before us
// may have taken the other one.
var errTwice = &badRequest{status: http.StatusBadRequest,
	message: "The request says something twice, or is nested too deeply."}

var errNotAnOperation = &badRequest{status: http.StatusBadRequest,
	message: "The request must be one JSON object with a text query, and variables and extensions that are objects."}

// params turns the request into what the executor takes. Numbers stay as they were
// written, so that a large integer is not rounded.
func (o operationRequest) params() (*graphql.RawParams, error) {
	p := &graphql.RawParams{}
	for _, id := range []*string{o.DocumentID, o.DocID, o.ID} {
		if id != nil && p.Extensions == nil {
			p.Extensions = map[string]any{documentIDKey: *id}
		}
	}
	if o.OperationName != nil {
		p.OperationName = *o.OperationName
	}
	if err := decodeObject(o.Variables, &p.Variables); err != nil {
		return nil, errNotAnOperation
	}
	var extensions map[string]any
	if err := decodeObject(o.Extensions, &extensions); err != nil {
		return nil, errNotAnOperation
	}
	delete(extensions, documentIDKey) // Ours alone.
	for k, v := range extensions {
		if p.Extensions == nil {
			p.Extensions = make(map[string]any)
		}
		p.Extensions[k] = v
	}
	if o.Query != nil {
		p.Query = *o.Query
	} else if p.Extensions == nil {
		return nil, errNotAnOperation // Neither a document nor a name of one.
	}
	return p, nil
}

// decodeObject reads a JSON object, or nothing from null and from nothing.
func decodeObject(raw json.RawMessage, into *map[string]any) error {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	if raw[0] != '{' {
		return errNotAnOperation
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(into)
}

// parseOperation reads one JSON object and nothing else.
func parseOperation(body []byte) (*graphql.RawParams, error) {
	if !utf8.Valid(body) {
		return nil, errNotAnOperation
	}
	var o operationRequest
	// Unmarshal refuses anything behind the object, and an array in its place.
	if err := json.Unmarshal(body, &o); err != nil {
		return nil, errNotAnOperation
	}
	if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, errNotAnOperation // null
	}
	if !distinctNames(body) {
		return nil, errTwice
	}
	return o.params()
}

// jsonType reports whether a Content-Type is that of JSON, in any charset or without one.
func jsonType(header string) (charset string, ok bool) {
	if len(header) > maxContentType {
		return "", false
	}
	kind, params, err := mime.ParseMediaType(header)
	return strings.ToLower(params["charset"]), err == nil && kind == "application/json"
}

// readPOST reads the operation of a POST, whose body may have so many bytes.
func readPOST(w http.ResponseWriter, r *http.Request, maxBytes int64) (*graphql.RawParams, error) {
	charset, ok := jsonType(r.Header.Get("Content-Type"))
	if !ok || charset != "" && charset != "utf-8" {
		return nil, &badRequest{http.StatusUnsupportedMediaType,
			"The Content-Type must be application/json, in UTF-8, not " +
				hosts.Quote(r.Header.Get("Content-Type")) + ".", "Content-Type"}
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, &badRequest{http.StatusUnsupportedMediaType,
			"The body must not be compressed, as Content-Encoding " +
				hosts.Quote(enc) + " says.", "Content-Encoding"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge) && maxBytes == maxStrangersBody:
		return nil, &badRequest{status: http.StatusRequestEntityTooLarge,
			message: "The body may have at most 64 KiB without an access token that is good."}
	case errors.As(err, &tooLarge):
		return nil, &badRequest{status: http.StatusRequestEntityTooLarge,
			message: fmt.Sprintf("The body may have at most %d KiB.", maxBytes>>10)}
	case err != nil:
		return nil, &badRequest{status: http.StatusBadRequest, message: "The body could not be read."}
	}
	// All of it is here: a stream may take as long as it likes.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // ServeHTTP has set it.
	return parseOperation(body)
}

// readGET reads the operation of a GET from the URL.
func readGET(u *url.URL) (*graphql.RawParams, error) {
	if strings.Count(u.RawQuery, "&") >= maxParameters {
		return nil, errNotAnOperation
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errNotAnOperation
	}
	for _, all := range values {
		if len(all) > 1 {
			return nil, errTwice
		}
	}
	var o operationRequest
	text := func(name string) *string {
		if !values.Has(name) {
			return nil
		}
		v := values.Get(name)
		return &v
	}
	o.Query, o.OperationName = text("query"), text("operationName")
	o.DocumentID, o.DocID, o.ID = text("documentId"), text("doc_id"), text("id")
	for name, field := range map[string]*json.RawMessage{"variables": &o.Variables, "extensions": &o.Extensions} {
		v := values.Get(name)
		switch {
		case v != "" && !json.Valid([]byte(v)):
			return nil, errNotAnOperation
		case !distinctNames([]byte(v)):
			return nil, errTwice
		}
		*field = json.RawMessage(v)
	}
	return o.params()
}

// tokenInURL is the access_token of a URL, "" where there is none. A URL with too many
// parameters has none: readGET refuses it.
func tokenInURL(u *url.URL) string {
	if strings.Count(u.RawQuery, "&") >= maxParameters || !strings.Contains(u.RawQuery, "access_token") {
		return ""
	}
	return u.Query().Get("access_token")
}

// forcesPreflight reports whether a browser asks the server before it sends this
// request for a page of another origin. A GET without is one that any page can
// cause, by an image or a link.
func forcesPreflight(r *http.Request) bool {
	for _, name := range []string{
		"Authorization", "GraphQL-Require-Preflight", "Apollo-Require-Preflight",
		"X-Apollo-Operation-Name", "X-Requested-With",
	} {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	_, ok := jsonType(r.Header.Get("Content-Type"))
	return ok
}
