package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/upstream"
	"parley/internal/upstream/upstreamtest"
)

// What is wrong is said once, what is wrong otherwise is said again, and so is that it works.
func TestModelWatch(t *testing.T) {
	t.Parallel()
	fine := upstream.Found{Listed: true, Models: []string{"a"}}
	refused, unknown := errors.New("nothing listens"), errors.New("a wrong key")
	synctest.Test(t, func(t *testing.T) {
		var text output
		refreshed := 0
		step := -1
		m := &modelWatch{
			url: "http://server.test/v1", log: slog.New(slog.NewJSONHandler(&text, nil)),
			check: func(context.Context) (upstream.Found, error) {
				step++
				switch {
				case step < 3:
					return upstream.Found{}, refused
				case step < 6:
					return upstream.Found{}, unknown
				}
				return fine, nil
			},
			refresh: func(context.Context) { refreshed++ },
		}
		began := time.Now()
		if m.note() != "" {
			t.Error("it is said to be unfit before anybody has looked")
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			m.run(t.Context())
		}()
		synctest.Wait()
		if m.note() == "" || !strings.Contains(text.String(), "nothing listens") || time.Since(began) != 0 {
			t.Errorf("after the first look: the note is %q, the log %s", m.note(), text.String())
		}
		<-ended
		var said []string
		for line := range strings.Lines(text.String()) {
			var l struct {
				Level, Msg, URL, Why string
				Models               int
			}
			if err := json.Unmarshal([]byte(line), &l); err != nil || l.URL != m.url {
				t.Errorf("logged %s: %v", line, err)
			}
			said = append(said, l.Level+" "+l.Msg+" "+l.Why)
		}
		want := []string{
			"WARN model server cannot be used as it is configured nothing listens",
			"WARN model server cannot be used as it is configured a wrong key",
			"INFO model server can be used now ",
		}
		if strings.Join(said, "\n") != strings.Join(want, "\n") || m.note() != "" || refreshed != 1 {
			t.Errorf("said %q, and the note is %q after %d refreshes; want %q", said, m.note(), refreshed, want)
		}
		if took := time.Since(began); took != (5+10+20+40+80+120)*time.Second {
			t.Errorf("it took %v", took)
		}
	})
	var none *modelWatch
	if none.note() != "" {
		t.Error("without a model server there is a note")
	}
}

func TestMissingModels(t *testing.T) {
	t.Parallel()
	list := upstream.Found{Listed: true, Models: []string{"llama3.2:latest", "models/gemini-2.5-flash", "c", "d", "e",
		"f", "g",
		"h", "i", "j"}}
	for name, c := range map[string]struct {
		m     *modelWatch
		found upstream.Found
		want  string // "": nothing is missing.
	}{
		"nothing configured": {&modelWatch{}, list, ""},
		"a short name":       {&modelWatch{model: "llama3.2"}, list, ""},
		"another one":        {&modelWatch{model: "gemini-2.5-flash"}, list, ""},
		"all of some":        {&modelWatch{model: "c", allowed: []string{"c", "llama3.2"}}, list, ""},
		"the default": {&modelWatch{model: "llama3.1"}, list,
			`PARLEY_MODEL names "llama3.1", which is not in its list: "llama3.2:latest", "models/gemini-2.5-flash", "c", "d", ` +
				`"e", "f", "g", "h" and 2 more`},
		"one of some": {&modelWatch{model: "c", allowed: []string{"c", "x"}}, list,
			`PARLEY_MODELS names "x"`},
		"nothing there":         {&modelWatch{}, upstream.Found{Listed: true}, "ollama pull"},
		"no list":               {&modelWatch{}, upstream.Found{}, "name those that it has in PARLEY_MODELS"},
		"no list, but a choice": {&modelWatch{model: "a", allowed: []string{"a"}}, upstream.Found{}, ""},
	} {
		err := c.m.missing(c.found)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

// A wrong address is found at the start, which it does not keep back, and a model server that
// comes later is found too.
func TestModelServerIsLookedAt(t *testing.T) {
	t.Parallel()
	s := upstreamtest.New()
	s.SetModels("llama3.2:latest", "llama3.2:1b")
	var there atomic.Bool
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !there.Load() {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, "<html>") // The server does not read it to the end.
			return
		}
		s.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	t.Cleanup(s.Close)
	i := startInside(t, append(sqliteEnviron(t), "OPENAI_BASE_URL="+web.URL+"/v1", "PARLEY_MODEL=llama3.2")...)
	says := func(what string) func() bool {
		return func() bool { return strings.Contains(i.out.String(), what) }
	}
	eventually(t, startLimit, "the log says what is wrong", says("/v1/models is answered with 502 Bad Gateway"))
	eventually(t, startLimit, "so does the readiness", func() bool {
		status, body := i.get(t, "/readyz")
		return status == http.StatusOK && strings.Contains(body, "warning: the model server cannot be used")
	})
	there.Store(true)
	eventually(t, startLimit, "the log says that it works", says("model server can be used now"))
	if _, body := i.get(t, "/readyz"); body != "ready\n" {
		t.Errorf("the readiness is %q", body)
	}

	// The default is called as the server calls it, whoever names it and however.
	token := i.signUp(t, "ada@example.org").AccessToken
	var data struct {
		Models []struct {
			Name      string
			IsDefault bool
		}
	}
	i.into(t, token, `{ models { name isDefault } }`, nil, &data)
	if len(data.Models) != 3 || data.Models[0].Name != "llama3.2:latest" || !data.Models[0].IsDefault ||
		data.Models[1].IsDefault || data.Models[2].IsDefault {
		t.Errorf("models: got %+v, want llama3.2:latest as the default", data.Models)
	}
	for _, input := range []map[string]any{{"content": "a"}, {"content": "b", "model": "llama3.2"}} {
		id := i.mustSend(t, token, input).Reply.ID
		var data struct{ Node struct{ Model string } }
		i.into(t, token, `query ($id: ID!) { node(id: $id) { ... on Message { model } } }`, map[string]any{"id": id},
			&data)
		if data.Node.Model != "llama3.2:latest" {
			t.Errorf("%v: the reply's model is %q, want llama3.2:latest", input, data.Node.Model)
		}
	}
	eventually(t, startLimit, "the model server is asked for it", func() bool {
		requests := s.Requests()
		return len(requests) >= 2 && requests[0].Model == "llama3.2:latest" && requests[1].Model == "llama3.2:latest"
	})
}
