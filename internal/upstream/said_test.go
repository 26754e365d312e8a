package upstream_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/internal/prompt"
	"parley/internal/reply"
	"parley/internal/secret"
	"parley/internal/upstream"
)

// answers is a transport with one answer.
func answers(status int, body string) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		jsonBody(status, body)(w, r)
		return w.Result(), nil
	}
}

// The operator reads at warn level what the server said, in its words, but for keys, addresses
// and pieces of the request.
func TestLog(t *testing.T) {
	t.Parallel()
	const question = "Please write to my mother in Oslo that the cat has died."
	const secretly = "请不要告诉任何人这件非常秘密的事情，好吗？谢谢你了。"
	for name, test := range map[string]struct {
		status int
		body   string
		want   []string
		not    []string
	}{
		"keys": {401, `{"error":{"message":"wrong key mykey123, sk-proj-abc_DEF, Authorization: Bearer abc.def","type":"authentication_error","code":"mykey123_error"}}`,
			[]string{"level=WARN", "reason=upstream_unauthorized", "status=401", "model=test",
				"kinds=[authentication_error]", "wrong key"}, []string{"mykey123", "abc_DEF", "abc.def"}},
		"keys of others": {401,
			`{"error":{"message":"behind it: eyJhbGciOi.eyJzdWIi.x_y, ` + strings.Repeat("k3y", 20) + `!"}}`,
			[]string{"behind it: "}, []string{"eyJ", "k3y"}},
		"a question that is escaped": {400, `{"error":{"message":"got \\u8bf7\\u4e0d\\u8981\\u544a\\u8bc9\\u4efb\\u4f55\\u4eba\\u8fd9\\u4ef6\\u975e\\u5e38\\u79d8\\u5bc6\\u7684\\u4e8b\\u60c5\\uff0c\\u597d\\u5417\\uff1f\\u8c22\\u8c22\\u4f60\\u4e86\\u3002 here"}}`,
			[]string{"got […] here"}, []string{"\u8bf7"}},
		"addresses": {400, `{"error":{"message":"No access for ada@example.com from 10.1.2.3:80, [fe80:1:2:3::1]: see https://u:p@host/x?y=1."}}`,
			[]string{"No access for [address] from [address]", "see [address]"},
			[]string{"ada", "10.1", "fe80", "https", "u:p", "y=1"}},
		"a question": {400, `{"error":{"message":"Cannot take: \"Please write to my mother in Oslo that the cat has died.\" at 3"}}`,
			[]string{`Cannot take`, "[…]", "at 3"}, []string{"mother", "Oslo", "cat"}},
		"a piece of a question": {422, `{"detail":[{"msg":"bad value","input":"x"},{"msg":"near: MOTHER IN OSLO\nTHAT the cat"}]}`,
			[]string{"bad value", "near:[…]"}, []string{"MOTHER", "OSLO", "cat"}},
		"the system prompt": {400, `{"message":"template failed on You are the secret helper of ACME"}`,
			[]string{"template failed on […]"}, []string{"secret", "ACME"}},
		"a schema and a stop word": {400, `{"error":"stop \"stop here, my dear friend\" in {\"confidential_property_name\":1}"}`,
			[]string{"stop", "[…]"}, []string{"dear friend", "confidential_prop"}},
		"a few words": {400, `{"error":"the cat has a hat"}`, []string{"the cat has a hat"}, nil},
		"where the text stands, not what": {403, `{"error":{"message":"input was flagged","metadata":{"reasons":["violence"],"flagged_input":"cat"}}}`,
			[]string{"input was flagged"}, []string{"cat"}},
		"lines": {400, "{\"error\":\"one\\nlevel=ERROR msg=two\"}",
			[]string{`words="one level=ERROR msg=two"`}, []string{"\nlevel=ERROR"}},
		"a page": {502, "<html>" + strings.Repeat("x", 9000) + "</html>",
			[]string{"<html>xxx", "[…]"}, []string{"</html>"}},
		"a lot":    {400, `{"error":"` + strings.Repeat("ä", 9000) + `"}`, []string{"ää[…]"}, nil},
		"nothing":  {400, ``, []string{"status=400"}, nil},
		"no model": {404, "{\"error\":{\"message\":\"The model `test` does not exist.\",\"code\":\"model_not_found\"}}", []string{"reason=model_unavailable", "does not exist"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			cfg := once("http://server.test/v1")
			cfg.APIKey, cfg.Transport = secret.New("mykey123"), answers(test.status, test.body)
			c, err := upstream.New(cfg, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			req := reply.Request{Model: "test", Messages: []prompt.Message{
				prompt.Say(prompt.System, "You are the secret helper of ACME."), prompt.Say(prompt.User, question),
				prompt.Say(prompt.User, secretly)},
				Parameters: reply.Parameters{Stop: []string{"stop here, my dear friend"},
					ResponseFormat: &reply.ResponseFormat{Type: reply.FormatJSONSchema, Name: "n",
						Schema: `{"confidential_property_name":1}`}}}
			_, err = c.Generate(t.Context(), req, &output{})
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(log.String(), want) {
					t.Errorf("the log has no %q: %s", want, log.String())
				}
			}
			for _, not := range test.not {
				if strings.Contains(log.String(), not) || strings.Contains(err.Error(), not) {
					t.Errorf("the log, or the error, has %q: %s, %v", not, log.String(), err)
				}
			}
			if n := strings.Count(log.String(), "\n"); n > 1 || log.Len() > 2500 {
				t.Errorf("%d lines, %d bytes: %s", n, log.Len(), log.String())
			}
		})
	}
}

// A kind of failure is said once in a minute, and another one beside it.
func TestLogIsNotFilled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		status := 401
		cfg := once("http://server.test/v1")
		cfg.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			return answers(status, `{"error":{"message":"no"}}`)(r)
		})
		c, err := upstream.New(cfg, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, step := range []struct {
			status, calls, lines int
			pause                time.Duration
		}{{401, 10, 1, 0}, {400, 10, 2, 0}, {401, 1, 2, 59 * time.Second}, {401, 1, 3, time.Second}} {
			time.Sleep(step.pause)
			status = step.status
			for range step.calls {
				_, _, _ = generate(t, c)
			}
			if n := strings.Count(log.String(), "model server reports an error"); n != step.lines {
				t.Errorf("%+v: %d lines: %s", step, n, log.String())
			}
		}
		if !strings.Contains(log.String(), "not_said_before=10") {
			t.Errorf("nothing says what was not said: %s", log.String())
		}
	})
}

// What is said when text has come may be a piece of it: then only its kind is logged.
func TestLogAfterText(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	base := serve(t, says(200, "text/event-stream", `data: {"choices":[{"index":0,"delta":{"content":"some"}}]}`+
		"\n\n"+`data: {"error":{"message":"some words of the reply","type":"server_error"}}`+"\n\n"))
	c, err := upstream.New(once(base), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	_, _, err = generate(t, c)
	wantCode(t, err, reply.CodeUpstream)
	if !strings.Contains(log.String(), "kinds=[server_error]") || strings.Contains(log.String(), "some words") {
		t.Errorf("the log is %s", log.String())
	}
}

// A base URL under which there is nothing is told with what is probably wrong with it.
func TestWrongBase(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"":                     "/v1 is probably missing",
		"/openai":              "is probably not that of a model server",
		"/api":                 "/v1 is probably missing",
		"/v1/chat/completions": "/chat/completions at its end is too much",
		"/v1/models":           "/models at its end is too much",
		"/v1/v1":               "it has /v1 twice",
		"/v2":                  "is probably not that of a model server",
	} {
		for _, body := range []string{"404 page not found", `{"detail":"Not Found"}`,
			`{"error":{"message":"Invalid URL (POST /x)"}}`} {
			var log bytes.Buffer
			cfg := once("http://server.test" + path)
			cfg.Transport = answers(404, body)
			c, err := upstream.New(cfg, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			_, _, err = generate(t, c)
			wantCode(t, err, reply.CodeProtocol)
			if !strings.Contains(log.String(), want) {
				t.Errorf("%q: the log is %s, want %q", path, log.String(), want)
			}
		}
	}
}
