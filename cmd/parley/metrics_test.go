package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	prom "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	commonmodel "github.com/prometheus/common/model"

	"parley/internal/metrics"
)

var metricsURL = regexp.MustCompile(`msg="metrics are served" url=(http://\S+)/metrics`)

// metricsBase is where a server has its listener for metrics.
func (i *instance) metricsBase(t *testing.T) string {
	t.Helper()
	m := metricsURL.FindStringSubmatch(i.out.String())
	if m == nil {
		t.Fatalf("the log does not say where the metrics are:\n%s", i.out.String())
	}
	return m[1]
}

func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // Read to its end.
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// scrape reads all series as Prometheus does.
func (i *instance) scrape(t *testing.T) map[string]*prom.MetricFamily {
	t.Helper()
	status, body := fetch(t, i.metricsBase(t)+metricsPath)
	if status != http.StatusOK {
		t.Fatalf("GET /metrics = %d: %s", status, body)
	}
	parser := expfmt.NewTextParser(commonmodel.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	return families
}

// value returns the value of a series, or the count of a histogram; -1 when there is none.
func value(families map[string]*prom.MetricFamily, name string, labels ...string) float64 {
	for _, m := range families[name].GetMetric() {
		matches := 0
		for _, l := range m.GetLabel() {
			for i := 0; i < len(labels); i += 2 {
				if l.GetName() == labels[i] && l.GetValue() == labels[i+1] {
					matches++
				}
			}
		}
		if matches*2 != len(labels) {
			continue
		}
		switch {
		case m.Counter != nil:
			return m.Counter.GetValue()
		case m.Gauge != nil:
			return m.Gauge.GetValue()
		case m.Histogram != nil:
			return float64(m.Histogram.GetSampleCount())
		}
	}
	return -1
}

// TestMetrics scrapes a real server after real traffic.
func TestMetrics(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, environ []string) {
		model := httptest.NewServer(http.HandlerFunc(answerByPrompt))
		t.Cleanup(model.Close)
		i := startInside(t, append(environ, "PARLEY_METRICS_ADDR=127.0.0.1:0", "PARLEY_MODEL=m",
			"OPENAI_BASE_URL="+model.URL+"/v1", "PARLEY_SENDS_PER_MINUTE=3", "PARLEY_MAX_RUNNING=2")...)
		if status := i.status(t, metricsPath); status != http.StatusNotFound {
			t.Errorf("the public listener answers %s with %d, want 404", metricsPath, status)
		}
		token := i.signUp(t, "ada@example.com").AccessToken
		send := func(content, model string) {
			i.ask(t, token, `mutation Send($i: SendMessageInput!) { sendMessage(input: $i) { reply { id } } }`,
				map[string]any{"i": map[string]any{"content": content, "wait": true, "model": model,
					"clientKey": "the-key-of-" + strings.ReplaceAll(content, " ", "-")}})
		}
		send(canary+" hello", "m")
		send(canary+" hello", "m") // Repeated.
		send("please refuse", "m")
		send("hostile", `"} 1`+"\n"+canary) // Such a model there is not, or it counts as other.
		send("again", "m")
		send("too many", "m")
		i.ask(t, "", `query `+canary+` { viewer { id } }`, nil)
		i.ask(t, "", `{ `+canary+` }`, nil)
		var families map[string]*prom.MetricFamily
		eventually(t, startLimit, "the last operation is counted", func() bool { // Its answer comes before.
			families = i.scrape(t)
			return value(families, "parley_operations_total", "kind", "other", "result",
				"graphql_validation_failed") == 1
		})
		for _, want := range []struct {
			name   string
			labels []string
			value  float64
		}{
			{"parley_ready", nil, 1},
			{"parley_sends_total", []string{"result", "accepted"}, 3},
			{"parley_sends_total", []string{"result", "repeated"}, 1},
			{"parley_sends_total", []string{"result", "rate_limited"}, 1},
			{"parley_rate_limits_total", []string{"kind", "sends"}, 1},
			{"parley_replies_total", []string{"status", "completed", "model", "m"}, 2},
			{"parley_replies_total", []string{"status", "failed", "model", "m"}, 1},
			{"parley_reply_first_token_seconds", []string{"model", "m"}, 2},
			{"parley_reply_tokens_per_second", []string{"model", "m"}, 2},
			{"parley_reply_tokens_total", []string{"kind", "completion", "model", "m"}, 10},
			{"parley_upstream_seconds", []string{"upstream", "openai", "code", "ok"}, 2},
			{"parley_upstream_seconds", []string{"upstream", "openai", "code", "upstream_rejected"}, 1},
			{"parley_replies_running", nil, 0},
			{"parley_sends_waiting", nil, 0},
			{"parley_database_up", nil, 1},
			{"parley_bus_connected", nil, 1},
			{"parley_subscriptions", []string{"way", "websocket"}, 0},
			{"parley_takeovers_total", []string{"reason", "crashed"}, 0},
		} {
			if got := value(families, want.name, want.labels...); got != want.value {
				t.Errorf("%s%v is %v, want %v", want.name, want.labels, got, want.value)
			}
		}
		checkSeries(t, families)
	})
}

// freeLabel is what the value of a label may look like: a word of ours.
var freeLabel = regexp.MustCompile(`^[a-z0-9_.-]{1,40}$`)

// checkSeries finds series that are documented and missing, or the other way round, and
// labels with something that a client has said.
func checkSeries(t *testing.T, families map[string]*prom.MetricFamily) {
	t.Helper()
	documented := []string{"parley_build_info"}
	for _, s := range metrics.All() {
		documented = append(documented, s.Name)
		family := families[s.Name]
		if family == nil {
			t.Errorf("%s is documented, and not there", s.Name)
			continue
		}
		if kind := strings.ToLower(family.GetType().String()); kind != string(s.Kind) {
			t.Errorf("%s is a %s, want a %s", s.Name, kind, s.Kind)
		}
	}
	n := 0
	for name, family := range families {
		if !strings.HasPrefix(name, "parley_") {
			continue
		}
		if !slices.Contains(documented, name) {
			t.Errorf("%s is not documented", name)
		}
		n += len(family.GetMetric())
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if v := l.GetValue(); name != "parley_build_info" && (!freeLabel.MatchString(v) ||
					strings.Contains(v, strings.ToLower(canary)) || strings.Contains(v, "usr_")) {
					t.Errorf("%s has the label %s=%q", name, l.GetName(), v)
				}
			}
		}
	}
	if n > 400 {
		t.Errorf("there are %d series, want a few hundred at most", n)
	}
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes"} {
		if families[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestMetricsListener(t *testing.T) {
	t.Parallel()
	i := startInside(t, append(sqliteEnviron(t), "PARLEY_METRICS_ADDR=127.0.0.1:0")...)
	base := i.metricsBase(t)
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/":                             {404, "Metrics are at /metrics."},
		"/graphql":                      {404, "Metrics are at /metrics."},
		pprofPath:                       {200, "goroutine"},
		pprofPath + "goroutine?debug=1": {200, "goroutine profile: total"},
		pprofPath + "cmdline":           {200, ""},
	} {
		if status, body := fetch(t, base+path); status != want.status || !strings.Contains(body, want.text) {
			t.Errorf("GET %s = %d %.60q, want %d and %q", path, status, body, want.status, want.text)
		}
	}
	if status := i.status(t, pprofPath); status != http.StatusNotFound {
		t.Errorf("the public listener answers %s with %d, want 404", pprofPath, status)
	}
	j := startInside(t, append(sqliteEnviron(t), "PARLEY_METRICS_ADDR=127.0.0.1:0", "PARLEY_MODE=production")...)
	if status, _ := fetch(t, j.metricsBase(t)+pprofPath); status != http.StatusNotFound {
		t.Errorf("profiles in production: got %d, want 404", status)
	}
	if status, _ := fetch(t, j.metricsBase(t)+metricsPath); status != http.StatusOK {
		t.Errorf("metrics in production: got %d, want 200", status)
	}
}

func TestProfilesAreForThisMachine(t *testing.T) {
	t.Parallel()
	m := metrics.New("test", func() bool { return false })
	for _, test := range []struct {
		addr, host string
		want       int
	}{
		{"127.0.0.1:9090", "localhost:9090", 200}, {"127.0.0.1:9090", "[::1]:9090", 200},
		{"127.0.0.1:9090", "rebound.example:9090", 421}, {":9090", "localhost:9090", 404},
	} {
		r := httptest.NewRequest(http.MethodGet, pprofPath, nil)
		r.Host = test.host
		w := httptest.NewRecorder()
		cfg := config{Mode: development, MetricsAddr: test.addr}
		metricsRoutes(cfg, m, slog.New(slog.DiscardHandler)).ServeHTTP(w, r)
		if w.Code != test.want {
			t.Errorf("%v: got %d", test, w.Code)
		}
	}
}

// TestHostileModels has a model server list names that nobody has configured.
func TestHostileModels(t *testing.T) {
	t.Parallel()
	const many = 50
	var listed []map[string]string
	for n := range many {
		listed = append(listed, map[string]string{"id": fmt.Sprintf("%s\"} %d", canary, n)})
	}
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_ = json.NewEncoder(w).Encode(map[string]any{"data": listed}) // What is missing shows.
			return
		}
		answerByPrompt(w, r)
	}))
	t.Cleanup(model.Close)
	i := startInside(t, append(sqliteEnviron(t), "PARLEY_METRICS_ADDR=127.0.0.1:0", "PARLEY_SENDS_PER_MINUTE=0",
		"OPENAI_BASE_URL="+model.URL+"/v1")...)
	token := i.signUp(t, "ada@example.com").AccessToken
	for _, m := range listed {
		i.mustSend(t, token, map[string]any{"content": "hello", "wait": true, "model": m["id"]})
	}
	families := i.scrape(t)
	if n := value(families, "parley_replies_total", "status", "completed", "model", "other"); n != many {
		t.Errorf("%v replies of other models, want %d", n, many)
	}
	checkSeries(t, families)
}
