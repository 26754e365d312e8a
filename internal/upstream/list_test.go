package upstream_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/internal/reply"
	"parley/internal/upstream"
	"parley/internal/upstream/upstreamtest"
)

// What servers list, by what they say beside names: which models can write, and how much those
// can read as they are served. The entries are made after each server's documentation; a † says
// that its members are as remembered.
func TestModelLists(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body string
		want map[string]int // Those offered, with their windows.
	}{
		"OpenAI †": {`{"object":"list","data":[{"id":"gpt-4.1","object":"model","created":1,"owned_by":"system"},
			{"id":"text-embedding-3-small"},{"id":"whisper-1"},{"id":"tts-1-hd"},{"id":"dall-e-3"},{"id":"gpt-image-1"},
			{"id":"omni-moderation-latest"}]}`, map[string]int{"gpt-4.1": 0}},
		"Gemini †": {`{"object":"list","data":[{"id":"models/gemini-2.5-flash","object":"model","owned_by":"google"},
			{"id":"models/text-embedding-004"},{"id":"models/gemini-embedding-001"},{"id":"models/imagen-4.0"}]}`,
			map[string]int{"models/gemini-2.5-flash": 0}},
		"vLLM (turnstone#252)": {`{"object":"list","data":[{"id":"Qwen/Qwen3-8B","object":"model","max_model_len":32768}]}`,
			map[string]int{"Qwen/Qwen3-8B": 32768}},
		"llama.cpp (oh-my-pi#939)": {`{"models":[{"name":"m.gguf","capabilities":["completion"]}],
			"object":"list","data":[{"id":"m.gguf","object":"model","meta":{"vocab_type":2,"n_ctx_train":131072}}]}`,
			map[string]int{"m.gguf": 0}},
		"llama.cpp, as it is served †": {`{"data":[{"id":"m.gguf","meta":{"n_ctx":4096,"n_ctx_train":131072}}]}`,
			map[string]int{"m.gguf": 4096}},
		"OpenRouter †": {`{"data":[{"id":"a/b","context_length":200000,"architecture":{"input_modalities":["text","image"],
			"output_modalities":["text"]},"top_provider":{"context_length":131072}},
			{"id":"a/picture","context_length":8192,"architecture":{"output_modalities":["image","text"]},"top_provider":{}},
			{"id":"a/painter","architecture":{"output_modalities":["image"]}},
			{"id":"a/vectors","architecture":{"output_modalities":["embeddings"]}}]}`,
			map[string]int{"a/b": 131072, "a/picture": 8192}},
		"Together †": {`[{"id":"m/chat","type":"chat","context_length":131072},{"id":"m/lm","type":"language"},
			{"id":"m/e","type":"embedding","context_length":512},{"id":"m/i","type":"image"},{"id":"m/r","type":"rerank"},
			{"id":"m/mod","type":"moderation"},{"id":"m/a","type":"audio"},{"id":"m/v","type":"video"}]`,
			map[string]int{"m/chat": 131072, "m/lm": 0}},
		"Groq †": {`{"data":[{"id":"llama-3.3-70b-versatile","active":true,"context_window":131072},
			{"id":"whisper-large-v3","active":true,"context_window":448},{"id":"gone","active":false}]}`,
			map[string]int{"llama-3.3-70b-versatile": 131072}},
		"Mistral †": {`{"data":[{"id":"mistral-small-latest","type":"base","max_context_length":131072,
			"capabilities":{"completion_chat":true,"completion_fim":false}},
			{"id":"mistral-embed","capabilities":{"completion_chat":false},"max_context_length":8192}]}`,
			map[string]int{"mistral-small-latest": 131072}},
		"LM Studio †": {`{"data":[{"id":"q","type":"llm","state":"loaded","max_context_length":131072,
			"loaded_context_length":4096},{"id":"v","type":"vlm","max_context_length":32768},
			{"id":"nomic","type":"embeddings","max_context_length":2048}]}`, map[string]int{"q": 4096, "v": 32768}},
		"Fireworks †": {`{"data":[{"id":"f/chat","supports_chat":true,"context_length":131072},
			{"id":"f/flux","supports_chat":false}]}`, map[string]int{"f/chat": 131072}},
		"Cohere †": {`{"models":[{"name":"command-r","endpoints":["generate","chat"],"context_length":128000},
			{"name":"embed-v4.0","endpoints":["embed"]},{"name":"rerank-v3.5","endpoints":["rerank"]}]}`,
			map[string]int{"command-r": 128000}},
		"Azure †": {`{"data":[{"id":"gpt-4o","capabilities":{"chat_completion":true,"embeddings":false}},
			{"id":"ada","capabilities":{"chat_completion":false,"embeddings":true}}]}`, map[string]int{"gpt-4o": 0}},
		"GitHub †": {`[{"name":"gpt-4o","task":"chat-completion"},{"name":"e","task":"embeddings"}]`,
			map[string]int{"gpt-4o": 0}},
		"Cloudflare †": {`{"data":[{"id":"@cf/llama","task":{"name":"Text Generation"}},
			{"id":"@cf/bge","task":{"name":"Text Embeddings"}},{"id":"@cf/w","task":{"name":"Automatic Speech Recognition"}}]}`,
			map[string]int{"@cf/llama": 0}},
		"Ollama †": {`{"object":"list","data":[{"id":"llama3.2:latest","object":"model","created":1,"owned_by":"library"}]}`,
			map[string]int{"llama3.2:latest": 0}},
		"Anthropic †": {`{"data":[{"type":"model","id":"claude-x","display_name":"Claude X"}],"has_more":false}`,
			map[string]int{"claude-x": 0}},
		"Xinference †": {`{"data":[{"id":"q","model_type":"LLM","context_length":32768},{"id":"b","model_type":"embedding"},
			{"id":"r","model_type":"rerank"},{"id":"i","model_type":"image"}]}`, map[string]int{"q": 32768}},
		"numbers that are none": {`{"data":[{"id":"a","max_model_len":-1},{"id":"b","context_length":"131072"},
			{"id":"c","context_length":1e300},{"id":"d","context_window":1},{"id":"e","context_length":null}]}`,
			map[string]int{"a": 0, "b": 0, "c": 0, "d": 0, "e": 0}},
		"members of other kinds": {`{"data":[{"id":"a","architecture":"llama","meta":7,"top_provider":[],"type":3,
			"capabilities":"all","active":"yes","endpoints":{"chat":true},"max_model_len":4096},{"id":5},7,null,"x",{}]}`,
			map[string]int{"a": 4096}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := once("http://server.test/v1")
			cfg.Transport = answers(200, test.body)
			c := client(t, cfg)
			names, err := c.Models(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(slices.Sorted(maps.Keys(test.want)), slices.Sorted(slices.Values(names))); diff != "" {
				t.Errorf("offered (-want +got):\n%s", diff)
			}
			for name, want := range test.want {
				if got, known := c.ContextTokens(name); got != want || known != (want > 0) {
					t.Errorf("%s has room for %d, %t, want %d", name, got, known, want)
				}
			}
		})
	}
}

// A refusal says how a model is served, so it counts before the list, for a day or until the list says
// something new.
func TestLearntWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		listed, name := 8192, "test"
		cfg := once("http://server.test/v1")
		cfg.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodGet {
				return answers(200, fmt.Sprintf(`{"data":[{"id":%q,"max_model_len":%d}]}`, name, listed))(r)
			}
			return answers(400, `{"error":{"message":"This model's maximum context length is 2048 tokens."}}`)(r)
		})
		c, err := upstream.New(cfg, discard())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		want := func(when string, tokens int) {
			t.Helper()
			if got, _ := c.ContextTokens("test"); got != tokens {
				t.Errorf("%s: %d tokens, want %d", when, got, tokens)
			}
		}
		fetch := func() {
			t.Helper()
			time.Sleep(6 * time.Minute)
			if _, err := c.Models(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		fetch()
		want("as listed", 8192)
		_, _, err = generate(t, c)
		wantCode(t, err, reply.CodeContextTooLong)
		want("as refused", 2048)
		name = "other"
		fetch()
		want("listed no more", 2048)
		name = "test"
		fetch()
		want("listed as before", 2048)
		listed = 4096
		fetch()
		want("listed anew", 4096)
		_, _, _ = generate(t, c)
		want("as refused again", 2048)
		time.Sleep(25 * time.Hour)
		want("a day later", 4096)
	})
}

// Whoever asks for a name that is not listed shares one look, and the next look is later.
func TestRenew(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *upstreamtest.Server, c *upstream.Client) {
		if _, err := c.Models(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !c.Renewed() {
			t.Error("the list is a moment old, and would be asked for again")
		}
		if _, err := c.Renew(t.Context()); err != nil || s.Lists() != 1 {
			t.Errorf("%v, %d lists, want one: it is a moment old", err, s.Lists())
		}
		time.Sleep(5 * time.Second)
		s.SetModels("test", "pulled")
		if c.Renewed() {
			t.Error("the list would not be asked for again")
		}
		found := make(chan []string)
		for range 20 {
			go func() {
				names, _ := c.Renew(t.Context())
				found <- names
			}()
		}
		for range 20 {
			if names := <-found; !slices.Contains(names, "pulled") {
				t.Errorf("got %q, want the new model in it", names)
			}
		}
		if s.Lists() != 2 {
			t.Errorf("%d lists, want 2", s.Lists())
		}
	})
}

// A call that names a model which is gone makes the list old.
func TestGoneModelExpiresTheList(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, s *upstreamtest.Server, c *upstream.Client) {
		if _, err := c.Models(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		s.SetModels("other")
		s.Always(upstreamtest.Fail(404, "model_not_found"))
		_, _, err := generate(t, c)
		wantCode(t, err, reply.CodeModelUnavailable)
		if names, err := c.Models(t.Context()); err != nil || !slices.Equal(names, []string{"other"}) {
			t.Errorf("got %q, %v, want the new list", names, err)
		}
	})
}

// The new parameters are sent as the protocol spells them.
func TestEffortAndVerbosity(t *testing.T) {
	t.Parallel()
	s, base := upstreamtest.Start(t)
	c := client(t, once(base))
	efforts, verbosities := reply.ReasoningEfforts(), reply.Verbosities()
	for i, effort := range efforts {
		req := request("hello")
		req.Parameters.ReasoningEffort, req.Parameters.Verbosity = effort, verbosities[i%len(verbosities)]
		if _, err := c.Generate(t.Context(), req, &output{}); err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(s.Requests()[i].Body, &got); err != nil {
			t.Fatal(err)
		}
		if got["reasoning_effort"] != strings.ToLower(string(effort)) ||
			got["verbosity"] != strings.ToLower(string(verbosities[i%len(verbosities)])) {
			t.Errorf("%s: sent %v, %v", effort, got["reasoning_effort"], got["verbosity"])
		}
	}
}
