package upstream_test

import (
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"parley/internal/reply"
	"parley/internal/secret"
	"parley/internal/upstream"
)

const (
	good = `data: {"choices":[{"index":0,"delta":{"content":"Hello"}}]}` + "\n\n"
	more = `data: {"choices":[{"index":0,"delta":{"content":" there"}}]}` + "\n\n"
	stop = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	use  = `data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":3},"completion_tokens_details":{"reasoning_tokens":1}}}` + "\n\n"
	done = "data: [DONE]\n\n"
)

func delta(raw string) string {
	return `data: {"choices":[{"index":0,"delta":{"content":"` + raw + `"}}]}` + "\n\n"
}

// body answers 200 with s and ends the answer properly.
func body(s string) http.HandlerFunc { return answer(200, "text/event-stream", s) }

func answer(status int, contentType, s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, s)
	}
}

// open sends s and leaves the connection open.
func open(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		body(s)(w, r)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

// raw writes the whole answer by hand, and ends the connection with a reset if asked to.
func raw(s string, reset bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(conn, s)
		if reset {
			// A byte of the client left unread or no linger: both make a reset.
			_ = conn.(*net.TCPConn).SetLinger(0)
		}
		_ = conn.Close()
	}
}

const header = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

// drip sends s one byte at a time.
func drip(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := range len(s) {
			_, _ = w.Write([]byte{s[i]})
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// endless repeats s until the client goes away.
func endless(start, s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.WriteString(w, start)
		for err == nil {
			_, err = io.WriteString(w, s)
		}
	}
}

// TestStream is the table of everything that a model server was seen to do to a
// stream. No case may end in false success or lost text.
func TestStream(t *testing.T) {
	t.Parallel()
	usage := &reply.Usage{PromptTokens: 7, CompletionTokens: 2, CachedTokens: new(3), ReasoningTokens: new(1)}
	short := func(c *upstream.Config) { c.Silence = 150 * time.Millisecond }
	for _, test := range []struct {
		name      string
		serve     http.HandlerFunc
		config    func(*upstream.Config)
		text      string
		reasoning string
		finish    reply.FinishReason
		usage     *reply.Usage
		code      reply.Code
		status    int // of the error, when it is not 0
	}{
		// Good streams.
		{name: "complete", serve: body(good + more + stop + use + done), text: "Hello there", finish: "STOP",
			usage: usage},
		{name: "end marker only", serve: body(good + done), text: "Hello"},
		{name: "finish reason only", serve: body(good + stop), text: "Hello", finish: "STOP"},
		{name: "finish reason beside text",
			serve: body(`data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}` + "\n\n"),
			text:  "Hi", finish: "STOP"},
		{name: "usage without end marker", serve: body(good + stop + use), text: "Hello", finish: "STOP", usage: usage},
		{name: "usage beside null choices",
			serve: body(good + stop + `data: {"choices":null,"usage":{"prompt_tokens":7,"completion_tokens":2}}` +
				"\n\n" + done), text: "Hello", finish: "STOP",
			usage: &reply.Usage{PromptTokens: 7, CompletionTokens: 2}},
		{name: "usage null and zero",
			serve: body(`data: {"choices":[{"index":0,"delta":{"content":"Hello"}}],"usage":null}` + "\n\n" +
				use + stop + `data: {"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}}` + "\n\n" + done),
			text: "Hello", finish: "STOP", usage: usage},
		{name: "usage after end marker", serve: body(good + stop + done + use), text: "Hello", finish: "STOP"},
		{name: "reply after end marker", serve: body(good + done + more), text: "Hello"},
		{name: "length", serve: body(good + strings.Replace(stop, "stop", "length", 1) + done), text: "Hello",
			finish: "LENGTH"},
		{name: "content filter", serve: body(good + strings.Replace(stop, "stop", "content_filter", 1) + done),
			text: "Hello", finish: "CONTENT_FILTER"},
		{name: "tool calls", serve: body(
			`data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"x","arguments":"{}"}}]}}]}` + "\n\n" + strings.Replace(stop, "stop", "tool_calls", 1) + done), code: reply.CodeProtocol},
		{name: "unknown reason", serve: body(good + strings.Replace(stop, "stop", "eos_token", 1) + done),
			text: "Hello", finish: "STOP"},
		{name: "empty but finished", serve: body(stop + done), finish: "STOP"},
		{name: "role, null, empty and double choices",
			serve: body(`data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}` + "\n\n" +
				`data: {"choices":[]}` + "\n\n" +
				`data: {"choices":[{"index":0,"delta":{"content":""},"finish_reason":null}]}` + "\n\n" +
				good + stop + done), text: "Hello", finish: "STOP"},
		{name: "other choices", serve: body(
			`data: {"choices":[{"delta":{"content":"no","reasoning":"no"},"finish_reason":"stop","index":1},{"index":0,"delta":{"content":"Hello"}}]}` + "\n\n" + done), text: "Hello"},
		{name: "reasoning_content", serve: body(`data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}` +
			"\n\n" + good + stop + done), text: "Hello", reasoning: "hm", finish: "STOP"},
		{name: "reasoning", serve: body(`data: {"choices":[{"index":0,"delta":{"content":"","reasoning":"hm"}}]}` +
			"\n\n" + good + stop + done), text: "Hello", reasoning: "hm", finish: "STOP"},
		{name: "reasoning twice",
			serve: body(`data: {"choices":[{"index":0,"delta":{"reasoning":"hm","reasoning_content":"hm"}}]}` + "\n\n" +
				good + stop + done), text: "Hello", reasoning: "hm", finish: "STOP"},
		{name: "content in parts",
			serve: body(`data: {"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"Hello"}]}}]}` + "\n\n" + stop + done), text: "Hello", reasoning: "hm", finish: "STOP"},
		{name: "refusal", serve: body(
			`data: {"choices":[{"index":0,"delta":{"content":null,"refusal":"I will not."}}]}` + "\n\n" + stop + done),
			text: "I will not.", finish: "STOP"},
		{name: "error null first",
			serve: body(`data: {"error":null,"choices":[{"index":0,"delta":{"content":"Hello"}}]}` + "\n\n" +
				stop + done), text: "Hello", finish: "STOP"},
		{name: "unseparated frames", serve: body(strings.ReplaceAll(good+more+stop+done, "\n\n", "\n")),
			text: "Hello there", finish: "STOP"},
		{name: "no newline after end marker", serve: body(good + "data: [DONE]"), text: "Hello"},
		{name: "no newline after last text",
			serve: body(good + strings.TrimSpace(strings.Replace(more, `"}}`, `"},"finish_reason":"stop"}`, 1))),
			text:  "Hello there", finish: "STOP"},
		{name: "comments, events, ids, retries", serve: body(": hi\n\nretry: 10\nid: 1\nevent: message\n: c\n" + good +
			":\n" + more + "id\n" + stop + done), text: "Hello there", finish: "STOP"},
		{name: "comment before error-free frame", serve: body(": OPENROUTER PROCESSING\n\n" + good + done),
			text: "Hello"},
		{name: "10000 comments", serve: body(good + strings.Repeat(": ping\n\n", 10000) + more + stop + done),
			text: "Hello there", finish: "STOP"},
		{name: "empty data", serve: body("data:\n\ndata: \n\n" + good + done), text: "Hello"},
		{name: "no space after colon", serve: body(strings.ReplaceAll(good+stop+done, "data: ", "data:")),
			text: "Hello", finish: "STOP"},
		{name: "CRLF", serve: body(strings.ReplaceAll(good+more+stop+done, "\n", "\r\n")), text: "Hello there",
			finish: "STOP"},
		{name: "CR", serve: body(strings.ReplaceAll(good+more+stop+done, "\n", "\r")), text: "Hello there",
			finish: "STOP"},
		{name: "CRLF dripping", serve: drip(strings.ReplaceAll(good+more+stop+done, "\n", "\r\n")), text: "Hello there",
			finish: "STOP"},
		{name: "byte order mark", serve: body("\ufeff" + good + done), text: "Hello"},
		{name: "data over several lines",
			serve: body("data: {\"choices\":\ndata: [{\"index\":0,\n: c\ndata: \"delta\":{\"content\":\"Hello\"}}]}\n\n" + done), text: "Hello"},
		{name: "unknown frames", serve: body(`data: {"type":"ping"}` + "\n\n" + good + `data: {"x_groq":{"id":"a"}}` +
			"\n\n" + done), text: "Hello"},
		{name: "wrong content type", serve: answer(200, "text/html", good+done), text: "Hello"},
		{name: "one byte at a time", serve: drip(good + delta("ä€😀") + stop + done), text: "Helloä€😀", finish: "STOP"},
		{name: "big burst", serve: body(strings.Repeat(delta(strings.Repeat("x", 1000)), 1000) + stop + done),
			text: strings.Repeat("x", 1_000_000), finish: "STOP"},
		{name: "answer not streamed",
			serve: answer(200, "application/json",
				"{\n \"choices\": [{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":\"stop\"}],\n\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}"), text: "Hello", finish: "STOP", usage: &reply.Usage{PromptTokens: 7, CompletionTokens: 2}},
		{name: "end marker, connection open", serve: open(good + stop + done), text: "Hello", finish: "STOP"},
		{name: "end marker without empty line, open", serve: open(good + "data: [DONE]\n"), text: "Hello"},
		{name: "finish reason, connection open", serve: open(good + stop), config: short, text: "Hello",
			finish: "STOP"},
		{name: "finish reason, reset", serve: raw(header+good+stop, true), text: "Hello", finish: "STOP"},

		// Text that storage would refuse.
		{name: "NUL", serve: body(delta(`a\u0000b`) + stop), text: "a\ufffdb", finish: "STOP"},
		{name: "lone surrogates", serve: body(delta(`a\ud83db\ude00`) + stop), text: "a\ufffdb\ufffd", finish: "STOP"},
		{name: "surrogate pair", serve: body(delta(`\ud83d\ude00`) + stop), text: "😀", finish: "STOP"},
		{name: "invalid UTF-8", serve: body(delta("a\xffb") + stop), text: "a\ufffdb", finish: "STOP"},
		{name: "character split over frames", serve: body(delta("a\xe2") + delta("\x82") + delta("\xacb") + stop),
			text: "a€b", finish: "STOP"},
		{name: "character never finished", serve: body(delta("a\xe2\x82") + stop), text: "a\ufffd", finish: "STOP"},
		{name: "escapes", serve: body(delta(`\"\\\/\b\f\n\r\t\u00e4`) + stop), text: "\"\\/\b\f\n\r\tä",
			finish: "STOP"},

		// Cuts.
		{name: "cut after text", serve: body(good), text: "Hello", code: reply.CodeTruncated},
		{name: "cut after text, last line open", serve: body(strings.TrimSpace(good)), text: "Hello",
			code: reply.CodeTruncated},
		{name: "cut inside a frame", serve: body(good + more[:40]), text: "Hello", code: reply.CodeProtocol},
		{name: "cut before text", serve: body(`data: {"choices":[{"index":0,"delta":{"role":"assistant"}}]}` + "\n\n"),
			code: reply.CodeTruncated},
		{name: "empty after usage only", serve: body(use), code: reply.CodeProtocol, usage: usage},
		{name: "half close", serve: raw(header+good, false), text: "Hello", code: reply.CodeTruncated},
		{name: "cut transfer encoding",
			serve: raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"+strconv.FormatInt(int64(len(good)), 16)+
				"\r\n"+good+"\r\n", false), text: "Hello", code: reply.CodeTruncated},
		{name: "reset before header", serve: raw("", true), code: reply.CodeUnavailable},
		{name: "closed before header", serve: raw("", false), code: reply.CodeUnavailable},
		{name: "hang before header",
			serve: func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			}, config: func(c *upstream.Config) { c.Silence = 100 * time.Millisecond },
			code: reply.CodeTimeout},
		{name: "hang before text", serve: open(""), config: short, code: reply.CodeTimeout},
		{name: "hang after text", serve: open(good), config: short, text: "Hello", code: reply.CodeTimeout},
		{name: "comments for ever", serve: endless(good, ": ping\n\n"),
			config: func(c *upstream.Config) { c.Silence = 150 * time.Millisecond }, text: "Hello",
			code: reply.CodeTimeout},

		// Errors inside a 200.
		{name: "error frame", serve: body(good + `data: {"error":{"message":"boom","type":"server_error"}}` + "\n\n"),
			text: "Hello", code: reply.CodeUpstream},
		{name: "error frame with space", serve: body(good + `data: { "error" : {"message":"boom"}}` + "\n\n" + done),
			text: "Hello", code: reply.CodeUpstream},
		{name: "error is a string", serve: body(good + `data: {"error":"boom"}` + "\n\n" + done), text: "Hello",
			code: reply.CodeUpstream},
		{name: "error without message", serve: body(good + `data: {"error":{"code":502}}` + "\n\n" + done),
			text: "Hello", code: reply.CodeUpstream, status: 502},
		{name: "error not first",
			serve: body(good + `data: {"id":"x","choices":[],"error":{"code":429,"message":"slow"}}` + "\n\n" + done),
			text:  "Hello", code: reply.CodeRateLimited, status: 429},
		{name: "error after comment", serve: body(": c\n\n" + `data: {"error":{"message":"boom"}}` + "\n\n"),
			code: reply.CodeUpstream},
		{name: "event error", serve: body(good + "event: error\ndata: {\"message\":\"boom\"}\n\n" + done),
			text: "Hello", code: reply.CodeUpstream},
		{name: "event error, text", serve: body(good + "event: error\ndata: boom\n\n" + done), text: "Hello",
			code: reply.CodeUpstream},
		{name: "event error, nothing", serve: body(good + "event: error\n\n" + done), text: "Hello",
			code: reply.CodeUpstream},
		{name: "event error at the end", serve: body(good + "event: error"), text: "Hello", code: reply.CodeUpstream},
		{name: "event error after finish", serve: body(good + stop + "event: error\ndata: {}\n\n"), text: "Hello",
			finish: "STOP"},
		{name: "object error", serve: body(good + `data: {"object":"error","message":"boom","code":400}` + "\n\n" +
			done), text: "Hello", code: reply.CodeRejected, status: 400},
		{name: "bare error line first", serve: body(`{"error":{"message":"boom"}}` + "\n"), code: reply.CodeUpstream},
		{name: "bare error line first, open", serve: open(`{"error":{"message":"boom"}}` + "\n"),
			code: reply.CodeUpstream},
		{name: "bare error line later", serve: body(good + `{"error":{"message":"boom"}}` + "\n"), text: "Hello",
			code: reply.CodeUpstream},
		{name: "finish reason error", serve: body(good + strings.Replace(stop, "stop", "error", 1) + done),
			text: "Hello", code: reply.CodeUpstream},
		{name: "context too long in frame",
			serve: body(`data: {"error":{"code":"context_length_exceeded","message":"x"}}` + "\n\n"),
			code:  reply.CodeContextTooLong},
		{name: "quota in frame", serve: body(`data: {"error":{"code":"insufficient_quota"}}` + "\n\n"),
			code: reply.CodeQuota},
		{name: "JSON error with 200", serve: answer(200, "application/json",
			"{\n  \"error\": {\n    \"message\": \"boom\"\n  }\n}\n"), code: reply.CodeUpstream},
		{name: "JSON detail with 200", serve: answer(200, "application/json", `{"detail":"boom"}`),
			code: reply.CodeUpstream},
		{name: "JSON array with 200", serve: answer(200, "application/json", `[1,2]`), code: reply.CodeProtocol},
		{name: "HTML with 200", serve: answer(200, "text/html", "\n<!DOCTYPE html><html>Sign in</html>"),
			code: reply.CodeProtocol},
		{name: "text with 200", serve: answer(200, "text/plain", "upstream connect error\n"), code: reply.CodeProtocol},
		{name: "empty 200", serve: body(""), code: reply.CodeProtocol},
		{name: "only end marker", serve: body(done), code: reply.CodeProtocol},
		{name: "204", serve: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
			code: reply.CodeProtocol, status: 204},
		{name: "bad JSON", serve: body(good + "data: {\"choices\":[{]}\n\n" + done), text: "Hello",
			code: reply.CodeProtocol},
		{name: "not HTTP", serve: raw("SSH-2.0-OpenSSH\r\n\r\n", false), code: reply.CodeProtocol},

		// Limits.
		{name: "infinite text", serve: endless("", delta(strings.Repeat("x", 100))),
			config: func(c *upstream.Config) { c.MaxReplyBytes = 1000 }, text: strings.Repeat("x", 1000),
			code: reply.CodeLimit},
		{name: "limit inside a character", serve: endless("", delta("€")),
			config: func(c *upstream.Config) { c.MaxReplyBytes = 7 }, text: "€€", code: reply.CodeLimit},
		{name: "infinite reasoning",
			serve: endless("", `data: {"choices":[{"index":0,"delta":{"reasoning":"`+strings.Repeat("x", 100)+`"}}]}`+
				"\n\n"), config: func(c *upstream.Config) { c.MaxReplyBytes = 1000 },
			reasoning: strings.Repeat("x", 1000),
			code:      reply.CodeLimit},
		{name: "infinite empty frames", serve: endless("", `data: {"choices":[]}`+"\n\n"),
			config: func(c *upstream.Config) { c.MaxReplyBytes = 1000 }, code: reply.CodeLimit},
		{name: "endless line", serve: endless(good+"data: ", strings.Repeat("x", 4096)), text: "Hello",
			code: reply.CodeLimit},
		{name: "endless frame", serve: endless(good, "data: "+strings.Repeat("x", 4096)+"\n"), text: "Hello",
			code: reply.CodeLimit},
		{name: "endless document", serve: endless("{", strings.Repeat("x", 4096)+"\n"), code: reply.CodeLimit},
		{name: "too long in time", serve: open(good),
			config: func(c *upstream.Config) { c.MaxDuration = 100 * time.Millisecond }, text: "Hello",
			code: reply.CodeLimit},

		// Refusals.
		{name: "400", serve: answer(400, "application/json", `{"error":{"message":"secret prompt","code":"x"}}`),
			code: reply.CodeRejected, status: 400},
		{name: "401", serve: answer(401, "application/json",
			`{"error":{"message":"Incorrect API key provided: sk-abc***","code":"invalid_api_key"}}`),
			code: reply.CodeUnauthorized, status: 401},
		{name: "402", serve: answer(402, "application/json", `{"error":{"message":"pay"}}`), code: reply.CodeQuota,
			status: 402},
		{name: "403", serve: answer(403, "text/html", "<html>"), code: reply.CodeUnauthorized, status: 403},
		{name: "404", serve: answer(404, "application/json", `{"error":"model not found"}`),
			code: reply.CodeModelUnavailable, status: 404},
		{name: "408", serve: answer(408, "text/plain", ""), code: reply.CodeTimeout, status: 408},
		{name: "409", serve: answer(409, "text/plain", ""), code: reply.CodeUnavailable, status: 409},
		{name: "413", serve: answer(413, "text/plain", ""), code: reply.CodeRejected, status: 413},
		{name: "422", serve: answer(422, "application/json", `{"detail":[{"msg":"bad"}]}`), code: reply.CodeRejected,
			status: 422},
		{name: "429", serve: answer(429, "application/json", `{"error":{"code":"rate_limit_exceeded"}}`),
			code: reply.CodeRateLimited, status: 429},
		{name: "429 quota", serve: answer(429, "application/json", `{"error":{"code":"insufficient_quota"}}`),
			code: reply.CodeQuota, status: 429},
		{name: "429 spend limit", serve: answer(429, "application/json",
			`{"error":{"code":"project_spend_limit_exceeded"}}`), code: reply.CodeQuota, status: 429},
		{name: "context length by code", serve: answer(400, "application/json",
			`{"error":{"code":"context_length_exceeded"}}`), code: reply.CodeContextTooLong, status: 400},
		{name: "context length by message",
			serve: answer(400, "application/json",
				`{"object":"error","message":"This model's maximum context length is 4096 tokens.","code":400}`),
			code: reply.CodeContextTooLong, status: 400},
		{name: "content filter by code",
			serve: answer(400, "application/json",
				`{"error":{"code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}`),
			code: reply.CodeContentFilter, status: 400},
		{name: "500", serve: answer(500, "text/plain", "context window"), code: reply.CodeUnavailable, status: 500},
		{name: "503", serve: answer(503, "text/html", "<html>"), code: reply.CodeUnavailable, status: 503},
		{name: "529", serve: answer(529, "text/html", ""), code: reply.CodeUnavailable, status: 529},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg := once(serve(t, test.serve))
			if test.config != nil {
				test.config(&cfg)
			}
			out, result, err := generate(t, client(t, cfg))
			if got := out.text.String(); got != test.text {
				t.Errorf("got text %.80q (%d bytes), want %.80q (%d bytes)", got, len(got), test.text, len(test.text))
			}
			if got := out.reasoning.String(); got != test.reasoning {
				t.Errorf("got reasoning %.80q, want %.80q", got, test.reasoning)
			}
			wantCode(t, err, test.code)
			if test.status != 0 && err.(*reply.Error).Status != test.status {
				t.Errorf("got status %d, want %d", err.(*reply.Error).Status, test.status)
			}
			if result.FinishReason != test.finish {
				t.Errorf("got finish reason %q, want %q", result.FinishReason, test.finish)
			}
			if diff := cmp.Diff(test.usage, result.Usage); diff != "" {
				t.Errorf("usage (-want +got):\n%s", diff)
			}
			if text := out.text.String() + out.reasoning.String(); !utf8.ValidString(text) ||
				strings.Contains(text, "\x00") {
				t.Errorf("the text %.80q is not fit for storage", text)
			}
			if err != nil {
				for _, leak := range []string{"boom", "sk-", "secret", "html", "SSH", "context window", "bad"} {
					if strings.Contains(err.Error(), leak) {
						t.Errorf("the error %q holds words of the server", err)
					}
				}
			}
		})
	}
}

// Redirects are not followed, so that the key goes nowhere else.
func TestStreamRedirect(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	other := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		base := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other+"/x", status) })
		cfg := once(base)
		cfg.APIKey = secret.New("sk-secret")
		cfg.MaxRetries = 2
		c := client(t, cfg)
		_, _, err := generate(t, c)
		wantCode(t, err, reply.CodeProtocol)
		if _, err := c.Models(t.Context()); err == nil {
			t.Error("got a list of models through a redirect")
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("got %d requests at the target of the redirects, want 0", n)
	}
}

// Nothing a server sends grows the memory: not an endless line, not an endless
// error.
func TestStreamMemory(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"100 MB error": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			for range 100 {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		},
		"endless line":  endless("data: ", strings.Repeat("x", 1<<16)),
		"endless reply": endless("", delta(strings.Repeat("x", 1000))),
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, once(serve(t, handler)))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			out := &output{}
			if _, err := c.Generate(t.Context(), request("hello"), out); err == nil {
				t.Error("got success, want an error")
			}
			runtime.ReadMemStats(&after)
			if grown := int64(after.Sys) - int64(before.Sys); grown > 32<<20 {
				t.Errorf("the process grew by %d MiB, want at most 32", grown>>20)
			}
		})
	}
}
