package upstream_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/reply"
	"parley/internal/secret"
	"parley/internal/upstream"
)

// Each thing that a model server is known to do has the right outcome, over a socket, or on a
// clock of its own where time passes.
func TestServers(t *testing.T) {
	t.Parallel()
	for _, server := range readServers(t) {
		for _, r := range server.rows {
			t.Run(server.file+"/"+r.id, func(t *testing.T) {
				t.Parallel()
				if r.one("about") == "" || r.one("source") == "" {
					t.Error("the row does not say what it is, or where that is from")
				}
				if r.clock() {
					synctest.Test(t, func(t *testing.T) { runRow(t, r) })
					return
				}
				runRow(t, r)
			})
		}
	}
}

// runRow starts the server of a row and asks it.
func runRow(t *testing.T, r row) {
	s := &rowServer{row: r}
	var log bytes.Buffer
	cfg := upstream.Config{APIKey: secret.New("sk-row-key")}
	if r.clock() {
		cfg.BaseURL, cfg.Transport = "http://in-process/v1", upstream.InProcess(s)
	} else {
		cfg = once(serve(t, s.ServeHTTP))
		cfg.APIKey = secret.New("sk-row-key")
	}
	cfg.ThinkTags = strings.Fields(r.one("think"))
	c, err := upstream.New(cfg, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if r.one("models") != "" {
		checkModels(t, c, r)
		return
	}
	checkReply(t, c, r)
	calls := s.count()
	if r.one("calls") != "any" {
		if want := r.number(t, "calls", 1); calls != want {
			t.Errorf("got %d calls, want %d", calls, want)
		}
	}
	if r.one("dropped")+r.one("learns") != "" {
		want := 1
		if r.one("value") != "" {
			want = calls // The next value may be fine.
		}
		checkReply(t, c, r)
		if got := s.count() - calls; got != want {
			t.Errorf("got %d calls for the second reply, want %d, as the first has been learnt from", got, want)
		}
	}
	for _, words := range r.fields["log"] {
		if !strings.Contains(log.String(), words) {
			t.Errorf("the log does not say %q: %s", words, log.String())
		}
	}
	for _, words := range append(r.fields["unlogged"], "sk-row-key") {
		if strings.Contains(log.String(), words) {
			t.Errorf("the log says %q: %s", words, log.String())
		}
	}
}

// checkReply asks once and compares all that is known of the reply.
func checkReply(t *testing.T, c *upstream.Client, r row) {
	t.Helper()
	req := request("When does the tide turn?")
	req.Parameters = parameters(t, r.one("send"))
	out := &output{}
	result, err := c.Generate(t.Context(), req, out)
	if got, want := string(code(t, err)), r.one("code"); got != want {
		t.Errorf("got code %q (%v), want %q", got, err, want)
	}
	var failure *reply.Error
	limit := 0
	if errors.As(err, &failure) {
		limit = failure.ContextTokens
	}
	finish := string(result.FinishReason)
	if r.one("code") != "" {
		finish = "" // What a failed reply would have ended with is nobody's concern.
	}
	for _, check := range []struct{ name, got, want string }{
		{"text", out.text.String(), r.text(t, "text")},
		{"reasoning", out.reasoning.String(), r.text(t, "reasoning")},
		{"finish", finish, wantFinish(r)},
		{"usage", spellUsage(result.Usage), r.one("usage")},
		{"citations", spellCitations(result.Citations), r.one("citation")},
		{"omitted", spell(result.Omitted), r.one("omitted")},
		{"dropped", spell(result.Dropped), r.one("dropped")},
		{"learnt limit", strconv.Itoa(limit), strconv.Itoa(r.number(t, "learnt", 0))},
	} {
		if check.got != check.want {
			t.Errorf("got %s %q, want %q", check.name, check.got, check.want)
		}
	}
}

func wantFinish(r row) string {
	switch finish := r.one("finish"); {
	case r.one("code") != "" || finish == "none":
		return ""
	case finish != "":
		return finish
	}
	return string(reply.FinishStop)
}

// parameters reads the field send.
func parameters(t *testing.T, send string) reply.Parameters {
	t.Helper()
	var p reply.Parameters
	for _, word := range strings.Fields(send) {
		name, value, _ := strings.Cut(word, "=")
		n, err := strconv.ParseFloat(value, 64)
		switch name {
		case "temperature":
			p.Temperature = &n
		case "topP":
			p.TopP = &n
		case "presencePenalty":
			p.PresencePenalty = &n
		case "frequencyPenalty":
			p.FrequencyPenalty = &n
		case "maxTokens":
			p.MaxTokens = ptr(int(n))
		case "seed":
			p.Seed = ptr(int(n))
		case "stop":
			p.Stop, err = strings.Split(value, ","), nil
		case "reasoningEffort":
			p.ReasoningEffort, err = reply.ReasoningEffort(value), nil
		case "verbosity":
			p.Verbosity, err = reply.Verbosity(value), nil
		case "responseFormat":
			p.ResponseFormat, err = &reply.ResponseFormat{Type: reply.FormatJSONObject}, nil
		default:
			err = errors.New("there is no such parameter")
		}
		if err != nil {
			t.Fatalf("send %q: %v", word, err)
		}
	}
	return p
}

// spell writes values as a field has them.
func spell[T ~string](values []T) string {
	words := make([]string, 0, len(values))
	for _, v := range values {
		words = append(words, string(v))
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

func spellUsage(u *reply.Usage) string {
	if u == nil {
		return ""
	}
	s := fmt.Sprintf("%d/%d", u.PromptTokens, u.CompletionTokens)
	for _, part := range []struct {
		name  string
		count *int
	}{{"cached", u.CachedTokens}, {"write", u.CacheWriteTokens}, {"reasoning", u.ReasoningTokens}} {
		if part.count != nil {
			s += fmt.Sprintf(" %s=%d", part.name, *part.count)
		}
	}
	return s
}

func spellCitations(list []reply.Citation) string {
	lines := make([]string, 0, len(list))
	for _, c := range list {
		place := ""
		if c.Start != nil && c.End != nil {
			place = fmt.Sprintf("%d-%d", *c.Start, *c.End)
		}
		lines = append(lines, strings.TrimRight(fmt.Sprintf("%s | %s | %s", c.URL, c.Title, place), " "))
	}
	return strings.Join(lines, "\n")
}

// checkModels compares the list of models.
func checkModels(t *testing.T, c *upstream.Client, r row) {
	t.Helper()
	names, err := c.Models(t.Context())
	if err != nil {
		t.Fatalf("Models: %v", err)
	}
	for i, name := range names {
		if limit, ok := c.ContextTokens(name); ok {
			names[i] = fmt.Sprintf("%s=%d", name, limit)
		}
	}
	if got, want := strings.Join(names, " "), r.one("models"); got != want {
		t.Errorf("got models %s, want %s", got, want)
	}
}

// rowServer answers as its row says. It is an http.Handler and safe for concurrent use.
type rowServer struct {
	row row

	mu    sync.Mutex // guards the fields below
	calls int
	began time.Time
}

func (s *rowServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// ServeHTTP implements http.Handler.
func (s *rowServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request := map[string]any{}
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body)
		if err != nil || json.Unmarshal(body, &request) != nil {
			http.Error(w, "the request is no JSON", http.StatusBadRequest)
			return
		}
	}
	s.mu.Lock()
	s.calls++
	if s.began.IsZero() {
		s.began = time.Now()
	}
	call, since := s.calls, time.Since(s.began)
	s.mu.Unlock()
	for _, a := range s.row.answers {
		if a.fits(request, call, since) {
			a.send(w, r)
			return
		}
	}
	http.Error(w, "the row has no answer for this", http.StatusTeapot)
}

// fits reports whether the answer is the one for a request.
func (a rowAnswer) fits(request map[string]any, call int, since time.Duration) bool {
	if a.first > 0 && call > a.first || a.until > 0 && since >= a.until {
		return false
	}
	has := func(member string) bool {
		role, ok := strings.CutPrefix(member, "role:")
		if !ok {
			return request[member] != nil
		}
		return slices.ContainsFunc(messages(request), func(m map[string]any) bool { return m["role"] == role })
	}
	return !slices.ContainsFunc(a.with, func(m string) bool { return !has(m) }) && !slices.ContainsFunc(a.without, has)
}

func messages(request map[string]any) []map[string]any {
	var list []map[string]any
	values, _ := request["messages"].([]any)
	for _, v := range values {
		if m, ok := v.(map[string]any); ok {
			list = append(list, m)
		}
	}
	return list
}

// send writes the answer.
func (a rowAnswer) send(w http.ResponseWriter, r *http.Request) {
	if !pause(r, a.delay) {
		return
	}
	kind := "application/json"
	if start := strings.TrimSpace(a.body); a.status == http.StatusOK && !strings.HasPrefix(start, "{") &&
		!strings.HasPrefix(start, "[") {
		kind = "text/event-stream"
	}
	w.Header().Set("Content-Type", kind)
	for name, value := range a.headers {
		w.Header().Set(name, value)
	}
	var out io.Writer = w
	if a.gzip {
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.WriteHeader(a.status)
	_ = http.NewResponseController(w).Flush()
	if a.gzip {
		zipped := gzip.NewWriter(w)
		defer func() { _ = zipped.Close() }()
		out = zipped
	}
	for _, line := range strings.SplitAfter(a.body+"\n", "\n") {
		if d, err := time.ParseDuration(strings.TrimPrefix(strings.TrimSpace(line), "~ ")); err == nil &&
			strings.HasPrefix(line, "~ ") {
			_ = http.NewResponseController(w).Flush()
			if !pause(r, d) {
				return
			}
			continue
		}
		_, _ = io.WriteString(out, line)
	}
	if a.cut {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// pause waits on the clock of the row, and reports false when the client has gone.
func pause(r *http.Request, d time.Duration) bool {
	if d == 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
		return false
	case <-timer.C:
		return true
	}
}
