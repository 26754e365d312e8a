package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"parley/internal/complaint"
)

const (
	maxModels      = 2000
	maxNameBytes   = 200
	modelsTimeout  = 15 * time.Second
	modelsCoolDown = 5 * time.Second // between two fetches when the first failed
)

// models remembers the list of models. Any number of callers share one fetch.
type models struct {
	mu      sync.Mutex // guards the fields below
	names   []string
	err     error     // of the last fetch; names then are older
	nextAt  time.Time // when the list must be fetched again
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

// Models returns the names of the server's models in the server's order. The list
// is kept for ModelsTTL; when it cannot be renewed the old one is returned. The
// caller owns the slice. Errors are *reply.Error, or wrap the cause of ctx.
func (c *Client) Models(ctx context.Context) ([]string, error) {
	m := &c.models
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil, fmt.Errorf("list models: %w", errClosed)
	}
	if m.running == nil && time.Now().Before(m.nextAt) {
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
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("list models: %w", context.Cause(ctx))
	case <-running.ended:
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
	if m.closed || m.running != nil || m.names == nil || !time.Now().Before(m.nextAt) {
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
func (m *models) learn(names []string, ttl time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running == nil {
		m.names, m.err, m.nextAt = append([]string{}, names...), nil, time.Now().Add(ttl)
	}
}

func (c *Client) fetchModels(ctx context.Context, f *fetch) {
	defer f.cancel()
	list, err := c.api.ListModels(ctx)
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
	m.err = err
	if err != nil {
		m.nextAt = time.Now().Add(modelsCoolDown)
		return
	}
	m.nextAt = time.Now().Add(c.cfg.ModelsTTL)
	m.names = make([]string, 0, len(list.Models))
	for _, model := range list.Models {
		m.names = append(m.names, model.ID)
	}
}

// normaliseModels reduces a list of models to the form and the members that
// go-openai needs. Servers disagree about the others, and about where the list is.
func normaliseModels(body []byte) ([]byte, error) {
	type model struct {
		ID   string `json:"id"`
		Name string `json:"name,omitempty"`
	}
	var top struct {
		Data   []model `json:"data"`
		Models []model `json:"models"`
	}
	if json.Unmarshal(body, &top) != nil {
		// Together sends the bare array.
		if err := json.Unmarshal(body, &top.Data); err != nil {
			return nil, errors.New("the list of models is not one")
		}
	}
	if len(top.Data) == 0 {
		top.Data = top.Models
	}
	list := struct {
		Data []model `json:"data"`
	}{Data: make([]model, 0, min(len(top.Data), maxModels))}
	for _, m := range top.Data {
		if m.ID == "" {
			m.ID = m.Name
		}
		if m.ID == "" || len(m.ID) > maxNameBytes || m.ID != cleanName([]byte(m.ID)) || len(list.Data) == maxModels {
			continue
		}
		list.Data = append(list.Data, model{ID: m.ID})
	}
	out, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("encode models: %w", err)
	}
	return out, nil
}

// cleanName makes a name fit to be stored: valid UTF-8, no NUL, bounded.
func cleanName(b []byte) string {
	if len(b) > maxNameBytes {
		b = b[:maxNameBytes]
		b = b[:len(b)-unfinished(b)]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(string(b), "\ufffd"), "\x00", "\ufffd")
}
