package catalog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"parley/internal/catalog"
)

// source is a list of models, or an error. It may be changed.
type source struct {
	mu    sync.Mutex
	names []string
	err   error
}

func (s *source) Models(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names, s.err
}

func (s *source) set(err error, names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names, s.err = names, err
}

func listing(names ...string) *source { return &source{names: names} }

// dead is a source that does not answer.
var dead = &source{err: errors.New("connection refused")}

// outcome is what a name resolves to: a model, or what is wrong.
func outcome(c *catalog.Catalog, t *testing.T, name string) string {
	t.Helper()
	id, err := c.Resolve(t.Context(), name)
	var unavailable *catalog.UnavailableError
	var required *catalog.RequiredError
	var unknown *catalog.UnknownError
	if err != nil && id != "" {
		t.Errorf("resolve %q: got model %q beside an error", name, id)
	}
	switch {
	case errors.As(err, &unavailable):
		return "UNAVAILABLE"
	case errors.As(err, &required):
		return fmt.Sprint("REQUIRED ", required.Models)
	case errors.As(err, &unknown):
		return fmt.Sprint("UNKNOWN ", unknown.Known)
	case err != nil:
		return err.Error()
	}
	return id
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	const up = "server"
	eliza := catalog.Model{ID: "eliza", Description: "built in", Upstream: "built-in"}
	echo := catalog.Model{ID: "echo", Upstream: "built-in"}
	is := func(id string) catalog.Model { return catalog.Model{ID: id, Upstream: up} }
	def := func(m catalog.Model) catalog.Model { m.Default = true; return m }
	for name, c := range map[string]struct {
		cfg     catalog.Config
		list    []catalog.Model
		listErr bool
		resolve map[string]string
	}{
		"allow-list": {
			catalog.Config{Allowed: []string{"a", "b"}, Source: dead},
			[]catalog.Model{def(is("a")), is("b")}, false,
			map[string]string{"": "a", "a": "a", "b": "b", "c": "UNKNOWN 2", "A": "UNKNOWN 2"},
		},
		"allow-list with a default": {
			catalog.Config{Allowed: []string{"a", "b"}, Default: "b"},
			[]catalog.Model{is("a"), def(is("b"))}, false,
			map[string]string{"": "b", "a": "a"},
		},
		"source with one": {
			catalog.Config{Source: listing("only")},
			[]catalog.Model{def(is("only"))}, false,
			map[string]string{"": "only", "only": "only", "x": "UNKNOWN 1"},
		},
		"source with many": {
			catalog.Config{Source: listing("a", "b")},
			[]catalog.Model{is("a"), is("b")}, false,
			map[string]string{"": "REQUIRED [a b]", "b": "b"},
		},
		"source with a default": {
			catalog.Config{Source: listing("a", "b"), Default: "b"},
			[]catalog.Model{is("a"), def(is("b"))}, false,
			map[string]string{"": "b", "a": "a"},
		},
		"empty source": {
			catalog.Config{Source: listing()},
			nil, false,
			map[string]string{"": "REQUIRED []", "a": "UNKNOWN 0"},
		},
		"dead source": {
			catalog.Config{Source: dead},
			nil, true,
			map[string]string{"": "UNAVAILABLE", "a": "UNAVAILABLE"},
		},
		"dead source with a default": {
			catalog.Config{Source: dead, Default: "b"},
			[]catalog.Model{def(is("b"))}, false,
			map[string]string{"": "b", "a": "UNAVAILABLE", "b": "b", "b:latest": "b"},
		},
		"a default that is not listed": {
			catalog.Config{Source: listing("a"), Default: "b"},
			[]catalog.Model{def(is("b")), is("a")}, false,
			map[string]string{"": "b", "a": "a", "b": "b", "c": "UNKNOWN 2"},
		},
		"built-in only": {
			catalog.Config{Always: []catalog.Model{eliza}},
			[]catalog.Model{def(eliza)}, false,
			map[string]string{"": "eliza", "eliza": "eliza", "a": "UNKNOWN 1"},
		},
		"two built in": {
			catalog.Config{Always: []catalog.Model{eliza, echo}},
			[]catalog.Model{def(eliza), echo}, false,
			map[string]string{"": "eliza", "echo": "echo"},
		},
		"built-in beside a source": {
			catalog.Config{Source: listing("a"), Always: []catalog.Model{eliza}},
			[]catalog.Model{is("a"), eliza}, false,
			map[string]string{"": "REQUIRED [a eliza]", "a": "a", "eliza": "eliza"},
		},
		"built-in in the allow-list": {
			catalog.Config{Allowed: []string{"a", "eliza"}, Always: []catalog.Model{eliza}},
			[]catalog.Model{def(is("a")), eliza}, false,
			map[string]string{"": "a", "eliza": "eliza"},
		},
		"built-in in the list of the source": {
			catalog.Config{Source: listing("eliza", "a"), Always: []catalog.Model{eliza}},
			[]catalog.Model{eliza, is("a")}, false,
			map[string]string{"": "REQUIRED [eliza a]"},
		},
		// An outage of the model server is no reason to answer with ELIZA, nor to
		// call a model's name wrong.
		"built-in beside a dead source": {
			catalog.Config{Source: dead, Always: []catalog.Model{eliza}},
			[]catalog.Model{eliza}, false,
			map[string]string{"": "UNAVAILABLE", "a": "UNAVAILABLE", "eliza": "eliza"},
		},
		"Ollama's names": {
			catalog.Config{Source: listing("llama3.2:1b", "llama3.2:latest", "ai/x:latest"), Default: "llama3.2"},
			[]catalog.Model{is("llama3.2:1b"), def(is("llama3.2:latest")), is("ai/x:latest")}, false,
			map[string]string{"": "llama3.2:latest", "llama3.2": "llama3.2:latest",
				"llama3.2:latest": "llama3.2:latest",
				"llama3.2:1b":     "llama3.2:1b", "ai/x": "ai/x:latest", "llama3": "UNKNOWN 3",
				"llama3.2:":   "UNKNOWN 3",
				"llama3.2:2b": "UNKNOWN 3", "Llama3.2": "UNKNOWN 3", "x": "UNKNOWN 3", ":latest": "UNKNOWN 3"},
		},
		"Gemini's names": {
			catalog.Config{Source: listing("models/gemini-2.5-flash", "models/gemini-2.5-pro"),
				Default: "gemini-2.5-pro"},
			[]catalog.Model{is("models/gemini-2.5-flash"), def(is("models/gemini-2.5-pro"))}, false,
			map[string]string{"": "models/gemini-2.5-pro", "gemini-2.5-flash": "models/gemini-2.5-flash",
				"models/gemini-2.5-flash": "models/gemini-2.5-flash", "gemini": "UNKNOWN 2", "models/": "UNKNOWN 2"},
		},
		"more than is listed": {
			catalog.Config{Source: listing("a", "b"), Default: "models/b:latest"},
			[]catalog.Model{is("a"), def(is("b"))}, false,
			map[string]string{"": "b", "a:latest": "a", "models/a": "a"},
		},
		"exact names first": {
			catalog.Config{Source: listing("a:latest", "models/a", "a"), Default: "a"},
			[]catalog.Model{is("a:latest"), is("models/a"), def(is("a"))}, false,
			map[string]string{"": "a", "a": "a", "a:latest": "a:latest", "models/a": "models/a",
				"models/a:latest": "a:latest"},
		},
		"names in the allow-list": {
			catalog.Config{Allowed: []string{"b", "a:latest"}, Default: "a"},
			[]catalog.Model{is("b"), def(is("a:latest"))}, false,
			map[string]string{"": "a:latest", "a": "a:latest", "b:latest": "b"},
		},
		"a name like the built-in one's": {
			catalog.Config{Source: listing("eliza:latest"), Always: []catalog.Model{eliza}},
			[]catalog.Model{is("eliza:latest"), eliza}, false,
			map[string]string{"eliza": "eliza", "eliza:latest": "eliza:latest"},
		},
		"nothing": {
			catalog.Config{}, nil, false,
			map[string]string{"": "REQUIRED []", "a": "UNKNOWN 0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.cfg.Upstream = up
			models := catalog.New(c.cfg)
			for range 2 { // The second time from a snapshot that has been swapped.
				list, err := models.Models(t.Context())
				var unavailable *catalog.UnavailableError
				if errors.As(err, &unavailable) != c.listErr {
					t.Errorf("got error %v, want UnavailableError: %v", err, c.listErr)
				}
				if diff := cmp.Diff(c.list, list); diff != "" {
					t.Errorf("list (-want +got):\n%s", diff)
				}
				for name, want := range c.resolve {
					if got := outcome(models, t, name); got != want {
						t.Errorf("resolve %q: got %s, want %s", name, got, want)
					}
				}
			}
		})
	}
}

// The default is known by the server's name as long as anybody knows it.
func TestDefaultKeepsItsName(t *testing.T) {
	t.Parallel()
	offered := listing("llama3.2:latest")
	c := catalog.New(catalog.Config{Upstream: "server", Source: offered, Default: "llama3.2"})
	if got := outcome(c, t, ""); got != "llama3.2" {
		t.Errorf("before the server is asked: got %s, want the operator's word", got)
	}
	if _, err := c.Models(t.Context()); err != nil {
		t.Fatal(err)
	}
	offered.set(context.Canceled)
	if got := outcome(c, t, ""); got != "llama3.2:latest" {
		t.Errorf("while the server is away: got %s, want its name", got)
	}
	if got, decided, err := c.ResolveNow(""); got != "llama3.2:latest" || !decided || err != nil {
		t.Errorf("at once: got %s, %t, %v, want the server's name", got, decided, err)
	}
}

// What is listed goes where the list says, and what is listed no more is still served by
// the upstream that serves the rest.
func TestUpstream(t *testing.T) {
	t.Parallel()
	offered := listing("a", "eliza")
	c := catalog.New(catalog.Config{
		Always:   []catalog.Model{{ID: "eliza", Upstream: "built-in"}},
		Upstream: "server",
		Source:   offered,
	})
	check := func(when string) {
		t.Helper()
		for model, want := range map[string]string{"a": "server", "eliza": "built-in", "gone": "server"} {
			if got, ok := c.Upstream(model); got != want || !ok {
				t.Errorf("%s: %s is served by %q, %v, want %q", when, model, got, ok, want)
			}
		}
	}
	check("before the first list")
	list, err := c.Models(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if got, ok := c.Upstream(m.ID); got != m.Upstream || !ok {
			t.Errorf("%s is listed for %q and served by %q", m.ID, m.Upstream, got)
		}
	}
	check("with a list")
	offered.set(nil, "b")
	if _, err := c.Models(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("with another list")
	if got, want := c.Upstreams(), []string{"built-in", "server"}; !slices.Equal(got, want) {
		t.Errorf("upstreams: got %q, want %q", got, want)
	}

	builtIn := catalog.New(catalog.Config{Always: []catalog.Model{{ID: "eliza", Upstream: "built-in"}}})
	if name, ok := builtIn.Upstream("a"); ok {
		t.Errorf("without a server a model is served by %q", name)
	}
}

// A caller that runs out of time, or a server that is away for a moment, changes nothing
// for anybody else.
func TestErrorsSwapNothing(t *testing.T) {
	t.Parallel()
	offered := listing("a", "b")
	c := catalog.New(catalog.Config{Upstream: "server", Source: offered})
	for _, step := range []struct {
		err   error
		names []string
		want  string
	}{
		{nil, []string{"a", "b"}, "b"},
		{context.Canceled, nil, "UNAVAILABLE"},
		{nil, []string{"a", "b"}, "b"},
		{nil, []string{"a"}, "UNKNOWN 1"},
		{nil, []string{"b", "a"}, "b"},
	} {
		offered.set(step.err, step.names...)
		if got := outcome(c, t, "b"); got != step.want {
			t.Errorf("with %v, %v: got %s, want %s", step.names, step.err, got, step.want)
		}
	}
}

// remembering is a source with a list that may be old.
type remembering struct {
	*source
	fresh bool
}

func (r *remembering) Remembered() ([]string, bool) { return r.names, r.fresh }

// What is resolved at once is what would be resolved by asking, and what takes asking is not.
func TestResolveNow(t *testing.T) {
	t.Parallel()
	fresh, old := &remembering{listing("a", "b"), true}, &remembering{listing("a", "b"), false}
	for name, c := range map[string]struct {
		cfg     catalog.Config
		decided map[string]bool
	}{
		"allow-list":              {catalog.Config{Allowed: []string{"a"}}, map[string]bool{"": true, "x": true}},
		"no source":               {catalog.Config{}, map[string]bool{"": true, "a": true}},
		"a default":               {catalog.Config{Default: "b", Source: old}, map[string]bool{"": true, "a": false}},
		"a fresh list":            {catalog.Config{Source: fresh}, map[string]bool{"": true, "b": true, "x": true}},
		"an old list":             {catalog.Config{Source: old}, map[string]bool{"": false, "b": false}},
		"a source without memory": {catalog.Config{Source: listing("a")}, map[string]bool{"": false, "a": false}},
	} {
		for model, want := range c.decided {
			now, decided, err := catalog.New(c.cfg).ResolveNow(model)
			if decided != want {
				t.Errorf("%s: %q is decided at once: %t, want %t", name, model, decided, want)
			}
			asked, askedErr := catalog.New(c.cfg).Resolve(t.Context(), model)
			if decided && (now != asked || fmt.Sprint(err) != fmt.Sprint(askedErr)) {
				t.Errorf("%s: %q resolves to %q, %v at once, and to %q, %v by asking", name, model,
					now, err, asked, askedErr)
			}
		}
	}
}

// A snapshot is swapped as a whole: nobody sees half of one.
func TestSwapUnderRace(t *testing.T) {
	t.Parallel()
	offered := listing("a", "b")
	c := catalog.New(catalog.Config{Upstream: "server", Source: offered})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 200 {
				if i == 0 {
					offered.set(nil, "a", "b")
					offered.set(nil, "c")
				}
				list, err := c.Models(t.Context())
				if err != nil || len(list) == 1 != (list[0].ID == "c" && list[0].Default) {
					t.Errorf("got %v, %v, want a and b without a default, or c with it", list, err)
				}
			}
		})
	}
	all.Wait()
}

// renewing is a source whose list has grown since it was asked.
type renewing struct {
	remembering
	renewed bool
	asked   int
	windows map[string]int
}

func (r *renewing) Renewed() bool { return r.renewed }

func (r *renewing) Renew(context.Context) ([]string, error) {
	if !r.renewed {
		r.asked++
		r.names = append(slices.Clone(r.names), "pulled")
		r.renewed = true
	}
	return r.names, nil
}

func (r *renewing) ContextTokens(model string) (int, bool) {
	return r.windows[model], r.windows[model] > 0
}

// A name that is not listed is looked up once more before it is refused, and not each time.
func TestResolveLooksAgain(t *testing.T) {
	t.Parallel()
	r := &renewing{remembering: remembering{listing("a"), true}}
	c := catalog.New(catalog.Config{Upstream: "server", Source: r})
	if id, decided, err := c.ResolveNow("a"); id != "a" || !decided || err != nil || r.asked != 0 {
		t.Errorf("a listed name: got %q, %t, %v after %d questions, want it at once", id, decided, err, r.asked)
	}
	if _, decided, _ := c.ResolveNow("pulled"); decided {
		t.Error("a name that is not listed is decided without a look")
	}
	if got := outcome(c, t, "pulled"); got != "pulled" || r.asked != 1 {
		t.Errorf("got %s after %d questions, want the model that was pulled after one", got, r.asked)
	}
	for range 3 {
		if got := outcome(c, t, "x"); got != "UNKNOWN 2" || r.asked != 1 {
			t.Errorf("got %s after %d questions, want a refusal and no other question", got, r.asked)
		}
	}
	if _, decided, err := c.ResolveNow("x"); !decided || err == nil {
		t.Errorf("decided %t, %v; want a refusal at once", decided, err)
	}
	allowed := &renewing{remembering: remembering{listing("a"), true}}
	c = catalog.New(catalog.Config{Allowed: []string{"a"}, Upstream: "server", Source: allowed})
	if got := outcome(c, t, "pulled"); got != "UNKNOWN 1" || allowed.asked != 0 {
		t.Errorf("got %s after %d questions, want that the operator's list decides", got, allowed.asked)
	}
}
