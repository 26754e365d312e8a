package upstream_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"parley/internal/prompt"
	"parley/internal/reply"
	"parley/internal/upstream"
	"parley/internal/upstream/upstreamtest"
)

// everything sets all parameters that may be left out.
func everything() reply.Parameters {
	return reply.Parameters{Temperature: ptr(0.3), TopP: ptr(0.9), MaxTokens: ptr(50), Stop: []string{"END"},
		Seed: ptr(7), PresencePenalty: ptr(0.1), FrequencyPenalty: ptr(0.2), ReasoningEffort: reply.EffortLow,
		Verbosity: reply.VerbosityHigh}
}

// What servers say about a parameter that they do not know, by the server and with the source of
// its words, and what is left out then. refuses are the members with which it says so.
func TestDialects(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		server, source string // † as remembered, not looked up
		refuses        []string
		status         int
		body           string
		dropped        []string
		// once is whether it is about this call alone: the next one tries again.
		once bool
	}{
		{"OpenAI", "cases/upstream/refuses-temperature", []string{"temperature"}, 400, `{"error": {"message": "Unsupported value: 'temperature' does not support 0.3 with this model. Only the default (1) value is supported.", "type": "invalid_request_error", "param": "temperature", "code": "unsupported_value"}}`, []string{"temperature"}, false},
		{"OpenAI, unsupported", "OpenAI †", []string{"top_p"}, 400, `{"error":{"message":"Unsupported parameter: 'top_p' is not supported with this model.","type":"invalid_request_error","param":"top_p","code":"unsupported_parameter"}}`, []string{"topP"}, false},
		{"OpenAI, stop", "OpenAI †", []string{"stop"}, 400, `{"error":{"message":"Unsupported parameter: 'stop' is not supported with this model.","type":"invalid_request_error","param":"stop","code":"unsupported_parameter"}}`, []string{"stop"}, false},
		{"OpenAI, effort", "OpenAI †", []string{"reasoning_effort"}, 400, `{"error":{"message":"Unrecognized request argument supplied: reasoning_effort","type":"invalid_request_error","param":null,"code":null}}`, []string{"reasoningEffort"}, false},
		{"OpenAI, verbosity", "OpenAI †", []string{"verbosity"}, 400, `{"error":{"message":"Unsupported value: 'high' is not supported with this model. Supported values are: 'medium'.","type":"invalid_request_error","param":"verbosity","code":"unsupported_value"}}`, []string{"verbosity"}, false},
		{"OpenAI, too many tokens", "OpenAI †", []string{"max_tokens"}, 400, `{"error":{"message":"max_tokens is too large: 50. This model supports at most 16 completion tokens, whereas you provided 50.","type":"invalid_request_error","param":"max_tokens","code":"invalid_value"}}`, []string{"maxTokens"}, true},
		{"Azure", "Azure †", []string{"presence_penalty"}, 400, `{"error":{"message":"Unsupported parameter: 'presence_penalty' is not supported with this model.","type":"invalid_request_error","param":"presence_penalty","code":"unsupported_parameter"}}`, []string{"presencePenalty"}, false},
		{"xAI", "cases/upstream/refuses-stop", []string{"stop"}, 400, `{"code": "Client specified an invalid argument", "error": "Argument not supported on this model: stop"}`, []string{"stop"}, false},
		{"xAI, camels", "n8n-io/n8n#14581", []string{"presence_penalty"}, 400, `{"code":"Client specified an invalid argument","error":"Argument not supported on this model: presencePenalty"}`, []string{"presencePenalty"}, false},
		{"xAI, newer", "chenyme/grok2api#814", []string{"reasoning_effort"}, 400, `{"code":"invalid-argument","error":"Model grok-4.20-0309-reasoning does not support parameter reasoningEffort."}`, []string{"reasoningEffort"}, false},
		{"Mistral", "dnakov/anon-kode#53", []string{"stream_options"}, 422, `{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options","include_usage"],"msg":"Extra inputs are not permitted","input":true,"url":"https://errors.pydantic.dev/2.10/v/extra_forbidden"}]},"type":"invalid_request_error","param":null,"code":null}`, nil, false},
		{"Mistral, two", "Gitlawb/openclaude#739", []string{"seed", "frequency_penalty"}, 422, `{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted","input":7},{"type":"extra_forbidden","loc":["body","frequency_penalty"],"msg":"Extra inputs are not permitted","input":0.2}]}`, []string{"seed", "frequencyPenalty"}, false},
		{"Mistral, in a text", "mistralai/platform-docs-public#7", []string{"frequency_penalty"}, 422, `{"object":"error","message":"{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"frequency_penalty\"],\"msg\":\"Extra inputs are not permitted\",\"input\":0.0}]}","type":"internal_error_proxy","param":null,"code":"1000"}`, []string{"frequencyPenalty"}, false},
		{"Gemini", "Vali-98/ChatterUI#227", []string{"seed", "frequency_penalty"}, 400, `[{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"frequency_penalty\": Cannot find field.\nInvalid JSON payload received. Unknown name \"seed\": Cannot find field.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"description":"Invalid JSON payload received. Unknown name \"frequency_penalty\": Cannot find field."}]}]}}]`, []string{"seed", "frequencyPenalty"}, false},
		{"Gemini, penalties", "PublicAffairs/openai-gemini#63", []string{"presence_penalty", "frequency_penalty"}, 400, `[{"error":{"code":400,"message":"Penalty is not enabled for models/gemini-2.5-flash","status":"INVALID_ARGUMENT"}}]`, []string{"presencePenalty", "frequencyPenalty"}, false},
		{"Groq", "CherryHQ/cherry-studio#1099", []string{"reasoning_effort"}, 400, `{"error":{"message":"property 'reasoning_effort' is unsupported, did you mean 'reasoning_format'?","type":"invalid_request_error"}}`, []string{"reasoningEffort"}, false},
		{"Groq, a value", "iamsrikanthnani/pluely#219", []string{"reasoning_effort"}, 400, "{\"error\":{\"message\":\"`reasoning_effort` must be one of `none` or `default`\",\"type\":\"invalid_request_error\"}}", []string{"reasoningEffort"}, true},
		{"Anthropic", "BerriAI/litellm#15097", []string{"temperature+top_p"}, 400, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"`temperature` and `top_p` cannot both be specified for this model. Please use only one.\"}}", []string{"topP"}, false},
		{"Anthropic, a range", "Anthropic †", []string{"temperature"}, 400, `{"type":"error","error":{"type":"invalid_request_error","message":"temperature: range: 0..1"}}`, []string{"temperature"}, true},
		{"Anthropic, none", "crewAIInc/crewAI#5810", []string{"temperature"}, 400, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"`temperature` is deprecated for this model.\"}}", []string{"temperature"}, false},
		{"LiteLLM", "BerriAI/litellm#7748", []string{"frequency_penalty"}, 400, `{"error":{"message":"litellm.UnsupportedParamsError: gemini does not support parameters: {'frequency_penalty': 0.5}, for model=gemini-2.0-flash.","type":"None","param":null,"code":"400"}}`, []string{"frequencyPenalty"}, false},
		{"Ollama", "ollama: server/routes.go †", []string{"reasoning_effort"}, 400, `{"error":{"message":"\"llama3.2\" does not support thinking","type":"invalid_request_error"}}`, []string{"reasoningEffort"}, false},
		{"vLLM", "vLLM: protocol.py †", []string{"seed"}, 400, `{"object":"error","message":"[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs are not permitted', 'input': 7}]","type":"BadRequestError","param":null,"code":400}`, []string{"seed"}, false},
		{"vLLM, room", "biomni: SUMMARIZATION_FIX.md", []string{"max_tokens"}, 400, `{"error":{"message":"'max_tokens' or 'max_completion_tokens' is too large: 8192. This model's maximum context length is 65536 tokens and your request has 57879 input tokens (8192 > 65536 - 57879). None","type":"BadRequestError","param":null,"code":400}}`, []string{"maxTokens"}, true},
		{"DeepSeek", "DeepSeek †", []string{"top_p"}, 400, `{"error":{"message":"Invalid top_p value, the valid range of top_p is (0, 1.0]","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}`, []string{"topP"}, true},
		{"DeepSeek, serde", "DeepSeek †", []string{"seed"}, 422, "Failed to deserialize the JSON body into the target type: unknown field `seed`, expected one of `model`, `messages`", []string{"seed"}, false},
		{"Cohere", "Cohere †", []string{"presence_penalty"}, 400, `{"message":"invalid request: parameter presence_penalty is not supported for this model"}`, []string{"presencePenalty"}, false},
		{"Moonshot", "lsdefine/GenericAgent#30", []string{"temperature"}, 400, `{"error":{"message":"invalid temperature: only 1 is allowed for this model","type":"invalid_request_error"}}`, []string{"temperature"}, false},
	} {
		t.Run(test.server, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, s *upstreamtest.Server, c *upstream.Client) {
				s.Always(func(call *upstreamtest.Call) {
					m := map[string]any{}
					_ = json.Unmarshal(call.Request.Body, &m)
					for _, r := range test.refuses {
						if !slices.ContainsFunc(strings.Split(r, "+"), func(n string) bool { return m[n] == nil }) {
							call.Fail(test.status, nil, test.body)
							return
						}
					}
					upstreamtest.Reply("Rivers run.")(call)
				})
				ask := func(want int) {
					t.Helper()
					before := len(s.Requests())
					req := request("hello")
					req.Parameters = everything()
					out := &output{}
					result, err := c.Generate(t.Context(), req, out)
					if err != nil || out.text.String() != "Rivers run." {
						t.Fatalf("got %q, %v, want the text (%s)", out.text.String(), err, test.source)
					}
					if diff := cmp.Diff(test.dropped, result.Dropped); diff != "" {
						t.Errorf("left out (-want +got):\n%s", diff)
					}
					if n := len(s.Requests()) - before; n != want {
						t.Errorf("%d requests, want %d", n, want)
					}
				}
				ask(2)
				after := 1
				if test.once {
					after = 2
				}
				ask(after)
				time.Sleep(time.Hour - time.Second)
				ask(after)
				time.Sleep(time.Second)
				ask(2) // An hour later it may have learnt it itself.
			})
		})
	}
}

// A parameter that nobody has set is neither left out nor said to be.
func TestDialectOfWhatIsNotSet(t *testing.T) {
	t.Parallel()
	s, base := upstreamtest.Start(t)
	s.Always(func(c *upstreamtest.Call) {
		c.Fail(400, nil, `{"error":{"message":"Unsupported parameter: 'temperature'","param":"temperature"}}`)
	})
	result, err := client(t, once(base)).Generate(t.Context(), request("hello"), &output{})
	wantCode(t, err, reply.CodeRejected)
	if n := len(s.Requests()); n != 1 || result.Dropped != nil {
		t.Errorf("%d requests, left out %v; want 1 and nothing", n, result.Dropped)
	}
}

// The form of an answer is never left out, and what a refusal says beside it is no reason either.
func TestDialectKeepsTheFormat(t *testing.T) {
	t.Parallel()
	s, base := upstreamtest.Start(t)
	s.Always(func(c *upstreamtest.Call) {
		c.Fail(400, nil, `{"error":{"message":"'response_format' does not go with temperature here","param":"response_format"}}`)
	})
	req := request("hello")
	req.Parameters = everything()
	req.Parameters.ResponseFormat = &reply.ResponseFormat{Type: reply.FormatJSONObject}
	_, err := client(t, once(base)).Generate(t.Context(), req, &output{})
	wantCode(t, err, reply.CodeRejected)
	if n := len(s.Requests()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

// A server that knows nothing is asked at most four times more.
func TestDialectAtMostFour(t *testing.T) {
	t.Parallel()
	s, base := upstreamtest.Start(t)
	s.Always(func(c *upstreamtest.Call) {
		m := map[string]any{}
		_ = json.Unmarshal(c.Request.Body, &m)
		for _, name := range []string{"temperature", "top_p", "seed", "stop", "verbosity", "stream_options"} {
			if m[name] != nil {
				c.Fail(400, nil, fmt.Sprintf(`{"error":{"message":"Unknown parameter: '%s'.","param":"%[1]s"}}`, name))
				return
			}
		}
		upstreamtest.Reply("ok")(c)
	})
	c := client(t, once(base))
	req := request("hello")
	req.Parameters = everything()
	result, err := c.Generate(t.Context(), req, &output{})
	wantCode(t, err, reply.CodeRejected)
	if n := len(s.Requests()); n != 5 {
		t.Errorf("%d requests, want 5", n)
	}
	if diff := cmp.Diff([]string{"temperature", "topP", "stop", "seed"}, result.Dropped); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
	// The next call begins with what was learnt.
	if _, err := c.Generate(t.Context(), req, &output{}); err != nil || len(s.Requests()) != 8 {
		t.Errorf("got %v after %d requests, want the text after 8", err, len(s.Requests()))
	}
}

// What a server repeats of a message teaches nothing about others: nobody can take a parameter, or
// the length of a context, from them.
func TestQuotedWordsTeachNothing(t *testing.T) {
	t.Parallel()
	for name, words := range map[string]string{
		"a parameter": "Unsupported parameter: 'temperature' is not supported with this model.",
		"a role":      "System role not supported by the template of this model",
		"a limit":     "This model's maximum context length is 300 tokens",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, base := upstreamtest.Start(t)
			s.Always(func(c *upstreamtest.Call) {
				if strings.Contains(string(c.Request.Body), "so they say") {
					c.Fail(400, nil, fmt.Sprintf(`{"error":{"message":"Cannot take %q."}}`, "so they say: "+words))
					return
				}
				upstreamtest.Reply("ok")(c)
			})
			c := client(t, once(base))
			send := func(text string) reply.Result {
				req := request(text)
				req.Messages = append([]prompt.Message{prompt.Say(prompt.System, "Be kind.")}, req.Messages...)
				req.Parameters.Temperature = ptr(0.5)
				result, _ := c.Generate(t.Context(), req, &output{})
				return result
			}
			send("so they say: " + words)
			before := len(s.Requests())
			if result := send("hello"); len(result.Dropped) > 0 || len(s.Requests()) != before+1 {
				t.Errorf("the next one leaves out %q", result.Dropped)
			}
			if body := string(s.Requests()[before].Body); !strings.Contains(body, `"role":"system"`) {
				t.Errorf("the next one has no system prompt: %s", body)
			}
			if tokens, known := c.ContextTokens("test"); known {
				t.Errorf("a limit of %d tokens", tokens)
			}
		})
	}
}

// The limit of an answer is said by either name, whichever the model knows.
func TestDialectOfTokens(t *testing.T) {
	t.Parallel()
	const (
		openAI  = `{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}`
		mistral = `{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","max_completion_tokens"],"msg":"Extra inputs are not permitted","input":50}]}}`
	)
	for name, test := range map[string]struct {
		knows   string
		dropped []string
	}{"completion": {"max_completion_tokens", nil}, "neither": {"", []string{"maxTokens"}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, base := upstreamtest.Start(t)
			s.Always(func(c *upstreamtest.Call) {
				m := map[string]any{}
				_ = json.Unmarshal(c.Request.Body, &m)
				switch {
				case m["max_tokens"] != nil:
					c.Fail(400, nil, openAI)
				case m["max_completion_tokens"] != nil && test.knows != "max_completion_tokens":
					c.Fail(422, nil, mistral)
				default:
					upstreamtest.Reply("ok")(c)
				}
			})
			req := request("hello")
			req.Parameters.MaxTokens = ptr(50)
			result, err := client(t, once(base)).Generate(t.Context(), req, &output{})
			if diff := cmp.Diff(test.dropped, result.Dropped); err != nil || diff != "" {
				t.Errorf("%v, left out (-want +got):\n%s", err, diff)
			}
		})
	}
}

// A model that does not know the role of the system gets its prompt by another one, the last of
// them being in front of the first question.
func TestDialectOfRoles(t *testing.T) {
	t.Parallel()
	const openAI = `{"error":{"message":"Unsupported value: 'messages[0].role' does not support '%s' with this model.","type":"invalid_request_error","param":"messages[0].role","code":"unsupported_value"}}`
	for name, test := range map[string]struct {
		status           int
		system           string // What is said of the role "system".
		developer        string // "": it is taken.
		roles, questions string
		requests         int
	}{
		"OpenAI, o1 (openai/openai-python#2047)": {400, fmt.Sprintf(openAI, "system"), "", "developer user",
			"Be brief.|hello", 2},
		"OpenAI, o1-mini (pydantic/pydantic-ai#974)": {400, fmt.Sprintf(openAI, "system"),
			fmt.Sprintf(openAI, "developer"), "user", "Be brief.\n\nhello", 3},
		"Gemma by vLLM (huggingface/chat-ui#1386)": {400, `{"object":"error","message":"System role not supported","type":"BadRequestError","param":null,"code":400}`,
			"", "user", "Be brief.\n\nhello", 2},
		"Gemma by Google (0xPlaygrounds/rig#788)": {400, `[{"error":{"code":400,"message":"Developer instruction is not enabled for models/gemma-3-27b-it","status":"INVALID_ARGUMENT"}}]`,
			"", "user", "Be brief.\n\nhello", 2},
		"a template (kubeai-project/kubeai#499)": {400, `{"object":"error","message":"Conversation roles must alternate user/assistant/user/assistant/...","type":"BadRequestError"}`,
			"", "user", "Be brief.\n\nhello", 2},
		"an adapter (ogx-ai/ogx#5982, turned round)": {422, `{"errors":[{"loc":["body","messages",0,"role"],"msg":"Input should be 'user' or 'assistant', unexpected role 'system'","type":"literal_error"}]}`,
			"", "user", "Be brief.\n\nhello", 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, base := upstreamtest.Start(t)
			s.Always(func(c *upstreamtest.Call) {
				switch role := c.Request.Messages[0].Role; {
				case role == "system":
					c.Fail(test.status, nil, test.system)
				case role == "developer" && test.developer != "":
					c.Fail(400, nil, test.developer)
				default:
					upstreamtest.Reply("ok")(c)
				}
			})
			c := client(t, once(base))
			for _, want := range []int{test.requests, test.requests + 1} {
				result, err := c.Generate(t.Context(), request("hello"), &output{})
				if err != nil || result.Dropped != nil {
					t.Fatalf("got %v, left out %v", err, result.Dropped)
				}
				requests := s.Requests()
				var roles, texts []string
				for _, m := range requests[len(requests)-1].Messages {
					roles, texts = append(roles, m.Role), append(texts, m.Content)
				}
				if got := strings.Join(roles, " "); got != test.roles {
					t.Errorf("roles %q, want %q", got, test.roles)
				}
				if got := strings.Join(texts, "|"); got != test.questions {
					t.Errorf("texts %q, want %q", got, test.questions)
				}
				if len(requests) != want {
					t.Errorf("%d requests, want %d", len(requests), want)
				}
			}
		})
	}
}

// The messages of the caller are as they were: the engine keeps them.
func TestDialectLeavesTheMessagesAlone(t *testing.T) {
	t.Parallel()
	s, base := upstreamtest.Start(t)
	s.Next(func(c *upstreamtest.Call) { c.Fail(400, nil, `{"error":"System role not supported"}`) })
	req := request("hello")
	req.Messages[1].Parts = append(req.Messages[1].Parts, prompt.Part{Text: "again"})
	want := []prompt.Message{prompt.Say(prompt.System, "Be brief."),
		{Role: prompt.User, Parts: []prompt.Part{{Text: "hello"}, {Text: "again"}}}}
	messages := req.Messages
	if _, err := client(t, once(base)).Generate(t.Context(), req, &output{}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, messages); diff != "" {
		t.Errorf("the messages have changed (-want +got):\n%s", diff)
	}
	if got := s.Requests()[1].Messages[0].Content; got != "Be brief.\n\nhello\n\nagain" {
		t.Errorf("the question is %q", got)
	}
}

// Many calls of many models at once learn without a race, and without an end.
func TestDialectAtOnce(t *testing.T) {
	t.Parallel()
	c, err := upstream.New(upstream.Config{BaseURL: "http://server.test/v1", MaxRetries: -1,
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			if strings.Contains(string(b), `"seed"`) {
				return answers(400, `{"error":{"message":"Unknown parameter: 'seed'.","param":"seed"}}`)(r)
			}
			return answers(200, `{"choices":[{"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}]}`)(r)
		})}, discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 300 {
				req := request("hello")
				req.Model, req.Parameters.Seed = fmt.Sprint("m", (worker*37+i)%1200), ptr(1)
				if _, err := c.Generate(t.Context(), req, &output{}); err != nil {
					t.Errorf("call %d: %v", i, err)
					return
				}
			}
		})
	}
	group.Wait()
}
