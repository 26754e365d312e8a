package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// askTimeout bounds one request of a Check.
const askTimeout = 5 * time.Second

// Found is what a Check has found of a server that can be used.
type Found struct {
	// Models are what the server lists.
	Models []string
	// Listed is whether it has a list at all. Some have none.
	Listed bool
}

// A SetupError says to the operator why a model server cannot be used, and what is probably
// the cause. It holds nothing of an answer's body.
type SetupError struct {
	Saw   string
	Cause string // Empty: Saw says it all.
}

// Error implements error.
func (e *SetupError) Error() string {
	if e.Cause == "" {
		return e.Saw
	}
	return e.Saw + ": " + e.Cause
}

// Check finds out whether the server can be used, as far as that costs nothing: whether it is
// there, takes the key, and has a list of models or at least the path of completions. A list
// is remembered as if Models had fetched it. The key goes nowhere but to the configured host.
//
// Errors are *SetupError, or the cause of ctx.
func (c *Client) Check(ctx context.Context) (Found, error) {
	list := c.ask(ctx, http.MethodGet, c.cfg.BaseURL+"/models", "")
	if ctx.Err() != nil {
		return Found{}, fmt.Errorf("check model server: %w", context.Cause(ctx))
	}
	if models, ok := list.models(); ok {
		c.models.learn(models, c.cfg.ModelsTTL)
		found := Found{Listed: true}
		for _, m := range models {
			found.Models = append(found.Models, m.ID)
		}
		return found, nil
	}
	if !list.nowhere() {
		return Found{}, c.explain(list)
	}
	if better := c.betterBase(ctx); better != "" {
		return Found{}, &SetupError{Saw: list.saw(), Cause: "OPENAI_BASE_URL is probably " + better}
	}
	completion := c.ask(ctx, http.MethodPost, c.cfg.BaseURL+"/chat/completions", "{}")
	switch {
	case ctx.Err() != nil:
		return Found{}, fmt.Errorf("check model server: %w", context.Cause(ctx))
	case completion.exists():
		return Found{}, nil
	case !completion.nowhere():
		return Found{}, c.explain(completion)
	}
	cause := "nor is there /chat/completions; " + c.slip() + "OPENAI_BASE_URL goes up to and with the version, " +
		"such as https://api.openai.com/v1 or http://localhost:11434/v1"
	return Found{}, &SetupError{Saw: list.saw(), Cause: cause}
}

// answer is what came of one request.
type answer struct {
	path   string
	status int
	header http.Header
	body   []byte
	err    error
}

// ask makes a request. It follows no redirect.
func (c *Client) ask(ctx context.Context, method, address, body string) answer {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	a := answer{path: pathOf(address)}
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		a.err = err
		return a
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Accept-Encoding", "identity")
	r.Header.Set("User-Agent", "parley")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if !c.cfg.APIKey.IsZero() {
		r.Header.Set("Authorization", "Bearer "+c.cfg.APIKey.Reveal())
	}
	// Not an http.Client: that one follows redirects, with the key.
	resp, err := c.cfg.Transport.RoundTrip(r)
	if err != nil {
		a.err = err
		return a
	}
	defer closeBody(resp.Body)
	a.status, a.header = resp.StatusCode, resp.Header
	if err := inflate(resp); err != nil {
		if a.status == http.StatusOK {
			a.err = err
		}
		return a
	}
	limit := int64(c.cfg.MaxErrorBytes)
	if a.status == http.StatusOK {
		limit = maxDocumentBytes + 1
	}
	a.body, a.err = io.ReadAll(io.LimitReader(resp.Body, limit))
	return a
}

// pathOf is the path of an address, which is one that has been parsed before.
func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Path
}

// models returns a list of models, and whether the answer is one.
func (a answer) models() ([]listedModel, bool) {
	if a.err != nil || a.status != http.StatusOK || len(a.body) > maxDocumentBytes || !isModelList(a.body) {
		return nil, false
	}
	list, err := parseModels(a.body)
	return list, err == nil
}

// isModelList reports whether a body is a list, or an object with one: some servers answer
// with 200 and an object that is an error.
func isModelList(body []byte) bool {
	body = bytes.TrimSpace(body)
	if bytes.HasPrefix(body, []byte("[")) {
		return true
	}
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil {
		return false
	}
	return slices.ContainsFunc([]string{"data", "models"}, func(name string) bool {
		return bytes.HasPrefix(top[name], []byte("[")) || string(top[name]) == "null"
	})
}

// nowhere reports whether an answer is that of a path that does not exist: a status that
// says so, a web page, or an error with the status 200.
func (a answer) nowhere() bool {
	switch a.status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented, http.StatusGone:
		return a.err == nil
	case http.StatusOK:
		return a.err == nil && len(a.body) <= maxDocumentBytes
	}
	return false
}

// exists reports whether the answer to a completion without a model and messages says that
// completions can be had under its path.
func (a answer) exists() bool {
	if a.err != nil {
		return false
	}
	switch a.status {
	case http.StatusBadRequest:
		return !a.plainToTLS()
	case http.StatusUnprocessableEntity, http.StatusUnsupportedMediaType, http.StatusTooManyRequests,
		http.StatusInternalServerError:
		return true
	case http.StatusOK, http.StatusNotFound: // "The model was not found" is found out under a path that exists.
		r := readRefusal(a.body)
		return json.Valid(a.body) && r.says("model", "messages") && !r.says("endpoint", "url", "path", "route")
	}
	return false
}

// isPage reports whether the body is a web page.
func (a answer) isPage() bool {
	start := bytes.ToLower(bytes.TrimSpace(a.body[:min(len(a.body), 512)]))
	return bytes.HasPrefix(start, []byte("<")) || strings.Contains(a.header.Get("Content-Type"), "text/html")
}

// endpoints are the paths of servers that are taken for the end of their address.
var endpoints = []string{"/chat/completions", "/completions", "/models", "/responses", "/api/chat", "/api/generate"}

// versions are the endings of addresses that servers are known to have.
var versions = []string{"/v1", "/api/v1", "/openai/v1", "/v1beta/openai"}

// betterBase returns an address of the same host under which there is a list of models, or
// "".
func (c *Client) betterBase(ctx context.Context) string {
	for _, base := range otherBases(c.cfg.BaseURL) {
		a := c.ask(ctx, http.MethodGet, base+"/models", "")
		_, ok := a.models()
		if ok || a.err == nil && a.refusesKey() && json.Valid(a.body) {
			return base
		}
		if ctx.Err() != nil {
			return ""
		}
	}
	return ""
}

// otherBases are the addresses that may be meant by one, of the same scheme and host.
func otherBases(base string) []string {
	u, err := url.Parse(base)
	if err != nil {
		return nil
	}
	var bases []string
	add := func(path string) {
		other := (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: path}).String()
		if other != base && !slices.Contains(bases, other) {
			bases = append(bases, other)
		}
	}
	path := strings.TrimRight(u.Path, "/")
	for _, end := range endpoints {
		if cut, ok := strings.CutSuffix(path, end); ok {
			path = cut
			add(path)
			break
		}
	}
	for {
		cut, ok := strings.CutSuffix(path, "/v1/v1")
		if !ok {
			break
		}
		path = cut + "/v1"
		add(path)
	}
	if !strings.HasSuffix(path, "/v1") {
		add(path + "/v1")
	}
	for _, version := range versions {
		add(version)
	}
	return bases
}
