package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver collects spans as a collector does.
type receiver struct {
	mu sync.Mutex
	// spans and raw are guarded by mu.
	spans map[string]*spans.Span // By name.
	raw   strings.Builder
}

func (c *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" ||
		proto.Unmarshal(body, &request) != nil {
		http.Error(w, "no spans", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.WriteString(request.String())
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans[s.Name] = s
			}
		}
	}
}

// TestSpans has a server export what it does for one send, and nothing that anybody wrote.
func TestSpans(t *testing.T) {
	t.Parallel()
	collected := &receiver{spans: make(map[string]*spans.Span)}
	web := httptest.NewServer(collected)
	t.Cleanup(web.Close)
	headers := make(chan http.Header, 10)
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			headers <- r.Header
		}
		answerByPrompt(w, r)
	}))
	t.Cleanup(model.Close)
	i := startInside(t, append(sqliteEnviron(t), "OTEL_EXPORTER_OTLP_ENDPOINT="+web.URL, "PARLEY_MODEL=m",
		"OPENAI_BASE_URL="+model.URL+"/v1", "PARLEY_ACCESS_LOG=on", "PARLEY_LOG=json")...)
	token := i.signUp(t, "ada@example.com").AccessToken
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.url+"/graphql", strings.NewReader(
		`{"query":"mutation Send { sendMessage(input: {content: \"`+canary+
			`\", wait: true}) { reply { content } } }"}`))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Content-Type": "application/json", "Authorization": "Bearer " + token,
		"traceparent": "00-" + id + "-00f067aa0ba902b7-01", "tracestate": "vendor=1"} {
		r.Header.Set(name, value)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // All of it has been read.
	if err != nil || !strings.Contains(string(body), canary) {
		t.Fatalf("the answer is %s, %v", body, err)
	}
	sent := <-headers
	i.stop(t) // It sends what is left.

	collected.mu.Lock()
	defer collected.mu.Unlock()
	parent := "00f067aa0ba902b7"
	for _, name := range []string{"mutation Send", "reply", "chat"} {
		s := collected.spans[name]
		if s == nil {
			t.Fatalf("no span %q among %v", name, collected.spans)
		}
		if hex.EncodeToString(s.TraceId) != id || hex.EncodeToString(s.ParentSpanId) != parent {
			t.Errorf("%q is below %x of %x, want %s of %s", name, s.ParentSpanId, s.TraceId, parent, id)
		}
		parent = hex.EncodeToString(s.SpanId)
	}
	if got, want := sent.Get("traceparent"), "00-"+id+"-"+parent+"-01"; got != want ||
		sent.Get("tracestate") != "vendor=1" {
		t.Errorf("the model server is told %q, %q; want %q", got, sent.Get("tracestate"), want)
	}
	raw := collected.raw.String()
	for _, secret := range []string{canary, "ada@example.com", token, "usr_"} {
		if strings.Contains(raw, secret) {
			t.Errorf("the spans hold %.20s", secret)
		}
	}
	for _, want := range []string{"gen_ai.usage.output_tokens", "gen_ai.request.model", "service.version"} {
		if !strings.Contains(raw, want) {
			t.Errorf("the spans lack %s", want)
		}
	}
	if line := i.line(t, map[string]any{"operation": "Send"}); line["trace_id"] != id {
		t.Errorf("the line of the send is %v, want the trace %s", line, id)
	}
	// Work that nobody has given a trace begins one, below nothing.
	for name, s := range collected.spans {
		if hex.EncodeToString(s.TraceId) != id && len(s.ParentSpanId) != 0 {
			t.Errorf("%q is below %x, which nobody exports", name, s.ParentSpanId)
		}
	}
}

// TestHeadersOfExportStaySecret also when they cannot be read.
func TestHeadersOfExportStaySecret(t *testing.T) {
	t.Parallel()
	i := startProcess(t, append(sqliteEnviron(t), "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1",
		"OTEL_EXPORTER_OTLP_HEADERS=authorization "+canary+",x-key=%zz"+canary)...)
	i.stop(t)
	if out := i.out.String(); strings.Contains(out, canary) || !strings.Contains(out, "parse headers") {
		t.Errorf("want a line on the headers without what they say, got\n%s", out)
	}
}

// TestWithoutCollector says that spans are lost, and serves on.
func TestWithoutCollector(t *testing.T) {
	t.Parallel()
	i := startProcess(t, append(sqliteEnviron(t), "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1")...)
	i.ask(t, "", `{ viewer { id } }`, nil)
	i.stop(t)
	if out := i.out.String(); !strings.Contains(out, "spans are lost") {
		t.Errorf("nothing is said of it:\n%s", out)
	}
	if errs := loadErrors(t, "OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4317"); errs["OTEL_EXPORTER_OTLP_ENDPOINT"] == "" {
		t.Error(fmt.Sprint("an endpoint that is no URL is accepted: ", errs))
	}
}
