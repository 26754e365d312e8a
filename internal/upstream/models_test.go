package upstream_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/reply"
	"parley/internal/upstream"
	"parley/internal/upstream/upstreamtest"
)

func TestModels(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body string
		want []string
		code reply.Code
	}{
		"order": {`{"object":"list","data":[{"id":"b","created":1.5},{"id":"a","permission":"x"},{"id":"c"}]}`,
			[]string{"b", "a", "c"}, ""},
		"bare array": {`[{"id":"b"},{"id":"a"}]`, []string{"b", "a"}, ""},
		"names":      {`{"models":[{"name":"b"},{"name":"a"}]}`, []string{"b", "a"}, ""},
		"empty":      {`{"data":[]}`, []string{}, ""},
		"odd names": {`{"data":[{"id":""},{"id":"a\u0000"},{"id":"` + strings.Repeat("x", 300) + `"},{"id":"b"}]}`,
			[]string{"b"}, ""},
		"too many": {`{"data":[` + strings.Repeat(`{"id":"x"},`, 5000) + `{"id":"y"}]}`,
			slices.Repeat([]string{"x"}, 2000), ""},
		"web page":     {`<html>`, nil, reply.CodeProtocol},
		"nothing":      {``, nil, reply.CodeProtocol},
		"wrong things": {`{"data":"x"}`, nil, reply.CodeProtocol},
		"endless":      {`{"data":[` + strings.Repeat(" ", 9<<20), nil, reply.CodeLimit},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := client(t, once(serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/v1/models" {
					http.NotFound(w, r)
					return
				}
				_, _ = io.WriteString(w, test.body)
			})))
			got, err := c.Models(t.Context())
			wantCode(t, err, test.code)
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestModelsCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := upstreamtest.New()
		down := false
		gate := make(chan struct{}, 100)
		c, err := upstream.NewInProcess(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-gate
			if down {
				http.Error(w, "no", http.StatusInternalServerError)
				return
			}
			s.ServeHTTP(w, r)
		}), discard())
		if err != nil {
			t.Fatal(err)
		}
		want := func(lists int, names ...string) {
			t.Helper()
			got, err := c.Models(t.Context())
			if err != nil || !slices.Equal(got, names) || s.Lists() != lists {
				t.Errorf("got %v, %v after %d fetches, want %v after %d", got, err, s.Lists(), names, lists)
			}
			if len(got) > 0 {
				got[0] = "changed" // The caller owns the slice.
			}
			if got, ok := c.Remembered(); !ok || !slices.Equal(got, names) {
				t.Errorf("got %v, %t from memory, want %v", got, ok, names)
			} else if len(got) > 0 {
				got[0] = "changed"
			}
		}
		forgotten := func() {
			t.Helper()
			if got, ok := c.Remembered(); ok {
				t.Errorf("got %v from memory, want that the server has to be asked", got)
			}
		}
		forgotten()

		// Ten callers at once share one fetch; one that gives up does not end it.
		ctx, cancel := context.WithCancelCause(t.Context())
		var callers sync.WaitGroup
		callers.Go(func() {
			if _, err := c.Models(ctx); !errors.Is(err, errStopped) {
				t.Errorf("got %v, want the cause", err)
			}
		})
		synctest.Wait()
		for range 10 {
			callers.Go(func() {
				if got, err := c.Models(t.Context()); err != nil || !slices.Equal(got, []string{"test"}) {
					t.Errorf("got %v, %v", got, err)
				}
			})
		}
		synctest.Wait()
		cancel(errStopped)
		synctest.Wait()
		gate <- struct{}{}
		callers.Wait()
		want(1, "test")

		// Kept for five minutes.
		s.SetModels("b", "a")
		want(1, "test")
		time.Sleep(5 * time.Minute)
		gate <- struct{}{}
		want(2, "b", "a")

		// The old list is better than none, and a broken server is asked seldom.
		down = true
		time.Sleep(5 * time.Minute)
		forgotten()
		gate <- struct{}{}
		want(2, "b", "a")
		want(2, "b", "a")
		down = false
		s.SetModels("new")
		time.Sleep(5 * time.Second)
		gate <- struct{}{}
		want(3, "new")

		// Close ends a fetch under way.
		time.Sleep(5 * time.Minute)
		callers.Go(func() {
			if got, err := c.Models(t.Context()); err != nil || !slices.Equal(got, []string{"new"}) {
				t.Errorf("during close: got %v, %v, want the old list", got, err)
			}
		})
		synctest.Wait()
		c.Close()
		c.Close()
		callers.Wait()
		if _, err := c.Models(t.Context()); err == nil {
			t.Error("got models from a closed client")
		}
		close(gate)
	})
}

// A server that is slow to list its models, since it is writing or because somebody asks for a name
// that it does not have, keeps nobody waiting who can do with what it has listed before.
func TestModelsOfASlowServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, slow := upstreamtest.New(), make(chan struct{})
		close(slow)
		c, err := upstream.NewInProcess(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-slow:
				s.ServeHTTP(w, r)
			case <-r.Context().Done():
			}
		}), discard())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		want := func(when string, most time.Duration) {
			t.Helper()
			began := time.Now()
			got, err := c.Models(t.Context())
			if took := time.Since(began); err != nil || !slices.Equal(got, []string{"test"}) || took > most {
				t.Errorf("%s: got %v, %v after %v, want the list after %v", when, got, err, took, most)
			}
		}
		want("at first", 0)
		time.Sleep(6 * time.Second)
		slow = make(chan struct{})
		renewed := make(chan error)
		go func() {
			_, err := c.Renew(t.Context())
			renewed <- err
		}()
		synctest.Wait()
		want("while a name is looked for", 0)
		if _, ok := c.Remembered(); !ok {
			t.Error("what is known has to be asked for while a name is looked for")
		}
		if err := <-renewed; err != nil {
			t.Errorf("the look for a name: %v", err)
		}
		time.Sleep(5 * time.Minute)
		want("when the list is due", time.Second)
	})
}

func TestModelsUnavailable(t *testing.T) {
	t.Parallel()
	c := client(t, once("http://127.0.0.1:1/v1"))
	_, err := c.Models(t.Context())
	wantCode(t, err, reply.CodeUnavailable)
}
