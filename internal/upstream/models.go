package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"parley/internal/complaint"
	"parley/internal/reply"
)

const (
	maxModels      = 2000
	maxNameBytes   = 200
	modelsTimeout  = 15 * time.Second
	modelsCoolDown = 5 * time.Second // between two fetches when the first failed, or for a name
	// modelsWait is how long a new list is waited for by who can do with the old one. A server
	// that is busy with a reply may not answer before it is done.
	modelsWait = time.Second
)

// models remembers the list of models. Any number of callers share one fetch.
type models struct {
	mu      sync.Mutex // guards the fields below
	names   []string
	windows map[string]windowOf // by name
	err     error               // of the last fetch; names then are older
	nextAt  time.Time           // when the list must be fetched again
	// renewAt is before when Renew does not ask again.
	renewAt time.Time
	running *fetch
	closed  bool
	done    sync.WaitGroup

	// complaint is of the one fetch that is under way.
	complaint *complaint.Complaint
}

// fetch is a request under way.
type fetch struct {
	cancel context.CancelFunc
	ended  chan struct{}
}

func (m *models) close() {
	m.mu.Lock()
	m.closed = true
	if m.running != nil {
		m.running.cancel()
	}
	m.mu.Unlock()
	m.done.Wait()
}

var errClosed = errors.New("the client is closed")

// Models returns the names of the server's models that can write, in the server's order. The list
// is kept for ModelsTTL; when it cannot be renewed at once the old one is returned. The
// caller owns the slice. Errors are *reply.Error, or wrap the cause of ctx.
func (c *Client) Models(ctx context.Context) ([]string, error) {
	return c.list(ctx, false)
}

// Renew is Models for a name that is not in the list: it asks the server again, unless that was
// done a moment ago.
func (c *Client) Renew(ctx context.Context) ([]string, error) {
	return c.list(ctx, true)
}

// Renewed reports whether Renew would not ask the server.
func (c *Client) Renewed() bool {
	m := &c.models
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.running == nil && time.Now().Before(m.renewAt)
}

// list returns the list, after a fetch if it is due. What is to be renewed waits for one that is
// under way as well.
func (c *Client) list(ctx context.Context, renew bool) ([]string, error) {
	m := &c.models
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil, fmt.Errorf("list models: %w", errClosed)
	}
	next := m.nextAt
	if renew {
		next = m.renewAt
	}
	spare := !renew && m.names != nil
	if time.Now().Before(next) && (m.running == nil || spare) {
		defer m.mu.Unlock()
		return m.answer()
	}
	if m.running == nil {
		// The fetch serves whoever comes, so it outlives the caller that began it.
		fetchCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), modelsTimeout)
		m.running = &fetch{cancel: cancel, ended: make(chan struct{})}
		m.done.Go(func() { c.fetchModels(fetchCtx, m.running) })
	}
	running := m.running
	m.mu.Unlock()
	var enough <-chan time.Time
	if spare {
		timer := time.NewTimer(modelsWait)
		defer timer.Stop()
		enough = timer.C
	}
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("list models: %w", context.Cause(ctx))
	case <-running.ended:
	case <-enough:
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.answer()
}

// Remembered returns what Models would return without asking the server, and false when
// Models would ask, or has no list. The caller owns the slice.
func (c *Client) Remembered() ([]string, bool) {
	m := &c.models
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || m.names == nil || !time.Now().Before(m.nextAt) {
		return nil, false
	}
	return append([]string{}, m.names...), true
}

// answer returns a copy of the list; m.mu must be held.
func (m *models) answer() ([]string, error) {
	if m.names == nil {
		return nil, m.err
	}
	return append([]string{}, m.names...), nil
}

// learn takes a list that has been fetched by others, unless one is being fetched.
func (m *models) learn(list []listedModel, ttl time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running == nil {
		m.take(list, ttl)
	}
}

// take replaces the list; m.mu must be held.
func (m *models) take(list []listedModel, ttl time.Duration) {
	now := time.Now()
	m.err, m.nextAt, m.renewAt = nil, now.Add(ttl), now.Add(modelsCoolDown)
	names, windows := make([]string, 0, len(list)), make(map[string]windowOf)
	for _, l := range list {
		w := m.windows[l.ID]
		if l.window != w.listed {
			w = windowOf{listed: l.window} // A server that says something new is believed.
		}
		if w != (windowOf{}) {
			windows[l.ID] = w
		}
		if !l.mute {
			names = append(names, l.ID)
		}
	}
	for name, w := range m.windows { // Models that are used and not listed.
		if _, listed := windows[name]; !listed && now.Before(w.until) && len(windows) < maxModels+maxLearntModels {
			windows[name] = w
		}
	}
	m.names, m.windows = names, windows
}

// expire makes the next one who needs the list fetch it: it names a model that is gone.
func (m *models) expire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Now().After(m.renewAt) {
		m.nextAt = time.Time{}
	}
}

// windowOf is how many tokens a model has room for: as listed, and as a refusal said, which is
// believed until some time. 0 is not told.
type windowOf struct {
	listed, refused int
	until           time.Time
}

// refusedFor is how long a server is taken at its word about a limit that it has named. Models
// are served anew with more, accounts are raised, and many lists say nothing of it.
const refusedFor = 24 * time.Hour

// limit notes what a refusal named as the limit of a model. It is how the model is served, and
// holds for a day, or until the list says something new.
func (m *models) limit(model string, tokens int) {
	if tokens < minWindow {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.windows == nil || len(m.windows) >= maxModels+maxLearntModels {
		m.windows = make(map[string]windowOf)
	}
	w := m.windows[model]
	w.refused, w.until = tokens, time.Now().Add(refusedFor)
	m.windows[strings.Clone(model)] = w
}

// ContextTokens returns how many tokens a prompt and its reply may have together with a model,
// and false when the server has not said. It asks nobody.
func (c *Client) ContextTokens(model string) (tokens int, known bool) {
	m := &c.models
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.windows[model]
	if w.refused > 0 && time.Now().Before(w.until) {
		return w.refused, true
	}
	return w.listed, w.listed > 0
}

func (c *Client) fetchModels(ctx context.Context, f *fetch) {
	defer f.cancel()
	list, err := c.getModels(ctx)
	if err != nil {
		err = fmt.Errorf("list models: %w", attemptError(ctx, err))
	}
	m := &c.models
	if !errors.Is(ctx.Err(), context.Canceled) { // That is by close.
		m.complaint.Report(context.WithoutCancel(ctx), c.logger, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	defer close(f.ended)
	m.running = nil
	if err != nil {
		m.err = err
		m.nextAt = time.Now().Add(modelsCoolDown)
		m.renewAt = m.nextAt
		return
	}
	m.take(list, c.cfg.ModelsTTL)
}

// getModels asks for the list.
func (c *Client) getModels(ctx context.Context) ([]listedModel, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(c.cfg.BaseURL, "/")+"/models",
		http.NoBody)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json")
	if !c.cfg.APIKey.IsZero() {
		r.Header.Set("Authorization", "Bearer "+c.cfg.APIKey.Reveal())
	}
	resp, err := c.doer.Do(r)
	if err != nil {
		return nil, err
	}
	defer closeBody(resp.Body)
	body, err := io.ReadAll(resp.Body) // Bounded by the doer.
	if err != nil {
		return nil, err
	}
	list, err := parseModels(body)
	if err != nil {
		return nil, &reply.Error{Code: reply.CodeProtocol, Status: resp.StatusCode, Err: err}
	}
	return list, nil
}

// cleanName makes a name fit to be stored: valid UTF-8, no NUL, bounded.
func cleanName(b []byte) string {
	if len(b) > maxNameBytes {
		b = b[:maxNameBytes]
		b = b[:len(b)-unfinished(b)]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(string(b), "\ufffd"), "\x00", "\ufffd")
}
