package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/internal/hosts"
	"parley/internal/secret"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the tables of docs/configuration.md instead of comparing them")

// testKeys are 32 bytes that came from a random generator once.
const testKeys = "a:u9Qm3vJpXc7RkE2sWz8TnB1hYdL5oGfA0iVxC6tMqZs"

func mustLoad(t *testing.T, environ ...string) config {
	t.Helper()
	c, err := loadConfig(environ)
	if err != nil {
		t.Fatalf("loadConfig(%q): %v", environ, err)
	}
	return c
}

// loadErrors returns the errors by variable and fails on other kinds of errors.
func loadErrors(t *testing.T, environ ...string) map[string]string {
	t.Helper()
	_, err := loadConfig(environ)
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("loadConfig(%q) = %v, want joined errors", environ, err)
	}
	byName := make(map[string]string)
	for _, err := range joined.Unwrap() {
		var e *configError
		if !errors.As(err, &e) {
			t.Fatalf("got the error %v, want a *configError", err)
		}
		byName[e.Name] += e.Error()
	}
	return byName
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	got := mustLoad(t, "HOME=/home/ada", "PARLEY_TEST_POSTGRES_URL=x", "PARLEY_ADDR=", "PATH")
	want := config{
		Addr: "127.0.0.1:8080", DataDir: "./data", Mode: development, Issuer: "parley",
		AllowLocalOrigins: true, SignUpOpen: true, Script: auto, Page: on, SiteName: "Parley",
		AccessTTL: 15 * time.Minute, DocumentsOnly: off, Lease: 15 * time.Second, OnCrash: crashRetry,
		WaitLimit: 50 * time.Second, ReplyLimit: 10 * time.Minute,
		AnswerBytes: 8 << 20, AnswersPerUser: 32 << 20, Answers: 128 << 20,
		RequestsPerUser: 100, SubscriptionsPerUser: 100,
		SocketsPerUser: 20, SocketsPerAddr: 200, ConversationsPerDay: 1000, BytesPerUser: 1 << 30,
		MaxRunning: 3, MaxReplies: 1000 * runtime.GOMAXPROCS(0), QueueAge: 500 * time.Millisecond, SendsPerMinute: 20,
		MaxMessage: 32 << 10, MaxSystem: 32 << 10, MaxPrompt: 4 << 20,
		Eliza: auto, Silence: 5 * time.Minute, LogFormat: logText, AccessLog: off, LogLevel: slog.LevelInfo,
	}
	if diff := cmp.Diff(got, want, cmp.Comparer(sameSecret)); diff != "" {
		t.Errorf("configuration of an empty environment (-got +want):\n%s", diff)
	}
	if !got.ElizaListed() {
		t.Error("ElizaListed() = false without a model server, want true")
	}
}

func sameSecret(a, b secret.Text) bool { return a.Reveal() == b.Reveal() }

func TestConfigEverySetting(t *testing.T) {
	t.Parallel()
	got := mustLoad(t,
		"PARLEY_ADDR=0.0.0.0:80", "PARLEY_DATA_DIR=/data", "PARLEY_DATABASE_URL=postgres://u:p@h/d",
		"PARLEY_MODE=development", "PARLEY_AUTH_KEYS="+testKeys, "PARLEY_ISSUER=me", "PARLEY_ACCESS_TTL=2s",
		"PARLEY_DOCUMENTS=/d.json", "PARLEY_DOCUMENTS_ONLY=on", "PARLEY_SCRIPT=on",
		"PARLEY_PAGE=off", "PARLEY_SITE_NAME=Ada's", "PARLEY_SUGGESTIONS=One? | Two",
		"PARLEY_ALLOWED_ORIGINS=HTTPS://App.example.com:443, http://localhost:3000,https://app.example.com",
		"PARLEY_HOSTS=Chat.Local, *.test,192.168.1.20",
		"PARLEY_TRUSTED_PROXIES=10.1.2.3/8", "PARLEY_SIGNUP=open", "PARLEY_LEASE=1m", "PARLEY_ON_CRASH=interrupt",
		"PARLEY_WAIT_LIMIT=5s", "PARLEY_DRAIN=0s", "PARLEY_REPLY_LIMIT=1m", "PARLEY_MAX_RUNNING=1",
		"PARLEY_MAX_REPLIES=77", "PARLEY_QUEUE_AGE=2s",
		"PARLEY_MAX_MESSAGE_BYTES=65536", "PARLEY_MAX_SYSTEM_PROMPT_BYTES=131072", "PARLEY_MAX_PROMPT_BYTES=1048576",
		"PARLEY_SENDS_PER_MINUTE=0",
		"PARLEY_ANSWER_BYTES=3000000", "PARLEY_ANSWERS_PER_USER=6000000", "PARLEY_ANSWERS=7000000",
		"PARLEY_REQUESTS_PER_USER=5", "PARLEY_SUBSCRIPTIONS_PER_USER=6",
		"PARLEY_SOCKETS_PER_USER=50", "PARLEY_SOCKETS_PER_ADDRESS=1000", "PARLEY_DB_CONNECTIONS=30",
		"PARLEY_ACCESS_LOG=on", "PARLEY_SLOW_STATEMENT=250ms", "PARLEY_METRICS_ADDR=:9090",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318/",
		"PARLEY_TOKENS_PER_DAY=5000000000", "PARLEY_CONVERSATIONS_PER_DAY=9", "PARLEY_BYTES_PER_USER=6000000000",
		"PARLEY_MODELS=a, b", "PARLEY_MODEL=b", "PARLEY_ELIZA=off",
		"PARLEY_CONTEXT_TOKENS=4096", "PARLEY_UPSTREAM_SILENCE=90s", "PARLEY_THINK_TAGS=/think, thinking",
		"PARLEY_LOG=json", "PARLEY_LOG_LEVEL=debug", "OPENAI_API_KEY=sk-1\n", "OPENAI_BASE_URL=http://h/v1/",
		"PARLEY_OIDC_ISSUER=i1,i2", "PARLEY_OIDC_AUDIENCE=a1,a2", "PARLEY_OIDC_JWKS_URL=https://h/1,http://[::1]:9/2",
	)
	named, err := hosts.ParsePatterns([]string{"chat.local", "*.test", "192.168.1.20"})
	if err != nil {
		t.Fatal(err)
	}
	want := config{
		Hosts: named,
		Addr:  "0.0.0.0:80", DataDir: "/data", DatabaseURL: secret.New("postgres://u:p@h/d"),
		Mode: development, AuthKeys: secret.New(testKeys), Issuer: "me", AccessTTL: 2 * time.Second,
		Documents: "/d.json", DocumentsOnly: on, Script: on,
		Page: off, SiteName: "Ada's", Suggestions: []string{"One?", "Two"},
		AllowedOrigins: []string{"https://app.example.com", "http://localhost:3000"},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		SignUpOpen:     true, Lease: time.Minute, OnCrash: crashInterrupt, WaitLimit: 5 * time.Second,
		AnswerBytes: 3_000_000, AnswersPerUser: 6_000_000, Answers: 7_000_000,
		RequestsPerUser: 5, SubscriptionsPerUser: 6,
		ReplyLimit: time.Minute, SocketsPerUser: 50, SocketsPerAddr: 1000, DBConns: 30,
		AccessLog: on, SlowAfter: 250 * time.Millisecond, MetricsAddr: ":9090", TracesURL: "http://localhost:4318",
		MaxRunning: 1, MaxReplies: 77, QueueAge: 2 * time.Second, TokensPerDay: 5_000_000_000, ConversationsPerDay: 9,
		BytesPerUser: 6_000_000_000, MaxMessage: 64 << 10, MaxSystem: 128 << 10, MaxPrompt: 1 << 20,
		Models: []string{"a", "b"}, Model: "b", Eliza: off, ContextTokens: 4096, Silence: 90 * time.Second,
		ThinkTags: []string{"/think", "thinking"},
		LogFormat: logJSON, LogLevel: slog.LevelDebug, OpenAIKey: secret.New("sk-1"), OpenAIBaseURL: "http://h/v1",
		OIDC: []oidcIssuer{{"i1", "a1", "https://h/1"}, {"i2", "a2", "http://[::1]:9/2"}},
	}
	same := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	if diff := cmp.Diff(got, want, cmp.Comparer(sameSecret), same); diff != "" {
		t.Errorf("configuration (-got +want):\n%s", diff)
	}
}

// Names that other programs read are told apart from ours, and stop no start.
func TestNamesOfOthers(t *testing.T) {
	t.Parallel()
	for environ, want := range map[string]string{
		"OPENAI_MODEL=hunter2":                     "OPENAI_MODEL is not read: here it is called PARLEY_MODEL",
		"OPENAI_API_BASE=hunter2":                  "here it is called OPENAI_BASE_URL",
		"OPENAI_KEY=hunter2":                       "here it is called OPENAI_API_KEY",
		"OPENAI_MODEL=hunter2 PARLEY_MODEL=eliza":  "",
		"OPENAI_MODEL=":                            "",
		"OPENAI_ORG_ID=hunter2":                    "",
		"OPENAI_MODELS=hunter2 OPENAI_API_KEY=k":   "PARLEY_MODELS",
		"OPENAI_BASE=hunter2 OPENAI_MODEL=hunter2": "OPENAI_MODEL",
	} {
		notes := strings.Join(mustLoad(t, strings.Fields(environ)...).Notes, "\n")
		if !strings.Contains(notes, want) || (notes == "") != (want == "") || strings.Contains(notes, "hunter2") {
			t.Errorf("%s: notes %q, want %q", environ, notes, want)
		}
	}
	// A name of the default model that the server says in full is in the list.
	if c := mustLoad(t, "OPENAI_API_KEY=k", "PARLEY_MODELS=b,llama3.2:latest", "PARLEY_MODEL=llama3.2"); c.Model == "" {
		t.Error("the default is not taken")
	}
}

func TestConfigDerivedDefaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		environ string
		mode    mode
		signUp  bool
		local   bool
	}{
		{"PARLEY_ADDR=127.0.0.1:1", development, true, true},
		{"PARLEY_ADDR=127.9.9.9:1", development, true, true},
		{"PARLEY_ADDR=[::1]:1", development, true, true},
		{"PARLEY_ADDR=LOCALHOST:1", development, true, true},
		{"PARLEY_ADDR=:1", production, false, false},
		{"PARLEY_ADDR=0.0.0.0:1", production, false, false},
		{"PARLEY_ADDR=localhost.example.com:1", production, false, false},
		{"PARLEY_ADDR=0.0.0.0:1 PARLEY_MODE=development", development, false, true},
		{"PARLEY_MODE=production", production, false, false},
		{"PARLEY_MODE=production PARLEY_SIGNUP=open", production, true, false},
		{"PARLEY_SIGNUP=closed", development, false, true},
		{"PARLEY_ALLOWED_ORIGINS=https://a.example.com", development, true, false},
	} {
		t.Run(tt.environ, func(t *testing.T) {
			t.Parallel()
			c := mustLoad(t, strings.Fields(tt.environ)...)
			if c.Mode != tt.mode || c.SignUpOpen != tt.signUp || c.AllowLocalOrigins != tt.local {
				t.Errorf("got mode %s, sign-up open %t, local origins %t; want %s, %t, %t",
					c.Mode, c.SignUpOpen, c.AllowLocalOrigins, tt.mode, tt.signUp, tt.local)
			}
		})
	}
}

func TestConfigModels(t *testing.T) {
	t.Parallel()
	if c := mustLoad(t, "PARLEY_MODELS=a,b", "OPENAI_API_KEY=k"); c.Model != "a" {
		t.Errorf("default model %q, want the first of PARLEY_MODELS", c.Model)
	}
	c := mustLoad(t, "OPENAI_API_KEY=k")
	if c.OpenAIBaseURL != openAIBaseURL || c.ElizaListed() {
		t.Errorf("with a key: base URL %q, ELIZA listed %t; want %q, false", c.OpenAIBaseURL, c.ElizaListed(),
			openAIBaseURL)
	}
	if c := mustLoad(t, "OPENAI_BASE_URL=http://h/v1"); c.ElizaListed() || !c.OpenAIKey.IsZero() {
		t.Errorf("with a base URL: ELIZA listed %t, key %v; want false and none", c.ElizaListed(), c.OpenAIKey)
	}
	if c := mustLoad(t, "OPENAI_BASE_URL=http://h/v1", "PARLEY_ELIZA=on"); !c.ElizaListed() {
		t.Error("PARLEY_ELIZA=on: not listed, want listed")
	}
}

func TestConfigRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ environ, name, problem string }{
		{"PARLEY_ADDR=8080", "PARLEY_ADDR", "has no port"},
		{"PARLEY_ADDR=::1:8080", "PARLEY_ADDR", "brackets"},
		{"PARLEY_ADDR=:http", "PARLEY_ADDR", "not a port"},
		{"PARLEY_ADDR=:70000", "PARLEY_ADDR", "not a port"},
		{"PARLEY_MODE=prod", "PARLEY_MODE", `"prod" is not one of them; accepted: development or production`},
		{"PARLEY_DATABASE_URL=mysql://u:hunter2@h/d", "PARLEY_DATABASE_URL", "does not start with postgres://"},
		{`PARLEY_DATABASE_URL="postgres://u:hunter2@h/d"`, "PARLEY_DATABASE_URL", "the quotes are part of it"},
		{"PARLEY_LEASE='15s'", "PARLEY_LEASE", "the quotes are part of it"},
		{"PARLEY_DATABASE_URL=postgres://u:hunter2%@h/d", "PARLEY_DATABASE_URL", "not a URL"},
		{"PARLEY_NATS_URL=http://hunter2@h", "PARLEY_NATS_URL", "does not start with nats:// or tls://"},
		{"PARLEY_NATS_URL=nats://u:hunter2@h,ws://u:hunter2@h", "PARLEY_NATS_URL", "does not start with"},
		{"PARLEY_NATS_URL=nats://u:hunter2%@h", "PARLEY_NATS_URL", "not a URL"},
		{"PARLEY_NATS_URL=nats://u:hunter2@", "PARLEY_NATS_URL", "names no host"},
		{"PARLEY_NATS_URL=nats://u:hunter2@h,", "PARLEY_NATS_URL", "nothing"},
		{"PARLEY_NATS_URL=nats://u:hunter2@h/subject", "PARLEY_NATS_URL", "more than"},
		{"PARLEY_NATS_URL=nats://u:hunter2@h PARLEY_DATABASE_URL=postgres://h/d", "PARLEY_AUTH_KEYS",
			"required with PARLEY_NATS_URL"},
		{"PARLEY_MODEL=gpt-5", "PARLEY_MODEL", "no model server"},
		{"PARLEY_AUTH_KEYS=hunter2", "PARLEY_AUTH_KEYS", "kid:secret"},
		{"PARLEY_AUTH_KEYS=a:hunter2", "PARLEY_AUTH_KEYS", "at least 32 random bytes"},
		{"PARLEY_ISSUER=a b", "PARLEY_ISSUER", "white space"},
		{"PARLEY_SIGNUP=on", "PARLEY_SIGNUP", "accepted: open or closed"},
		{"PARLEY_PAGE=auto", "PARLEY_PAGE", "accepted: on or off"},
		{"PARLEY_SITE_NAME=a\x01b", "PARLEY_SITE_NAME", "not a line of text"},
		{"PARLEY_SUGGESTIONS=a||b", "PARLEY_SUGGESTIONS", "empty"},
		{"PARLEY_SUGGESTIONS=1|2|3|4|5|6|7", "PARLEY_SUGGESTIONS", "these are 7"},
		{"PARLEY_ALLOWED_ORIGINS=*", "PARLEY_ALLOWED_ORIGINS", "list the origins"},
		{"PARLEY_ALLOWED_ORIGINS=https://*.example.com", "PARLEY_ALLOWED_ORIGINS", "list the origins"},
		{"PARLEY_ALLOWED_ORIGINS=https://example.com/", "PARLEY_ALLOWED_ORIGINS", "without a slash"},
		{"PARLEY_ALLOWED_ORIGINS=example.com", "PARLEY_ALLOWED_ORIGINS", "not an origin"},
		{"PARLEY_ALLOWED_ORIGINS=null", "PARLEY_ALLOWED_ORIGINS", "not an origin"},
		{"PARLEY_ALLOWED_ORIGINS=https://a.example.com,", "PARLEY_ALLOWED_ORIGINS", "nothing"},
		{"PARLEY_HOSTS=*", "PARLEY_HOSTS", "list the names; accepted: comma-separated names"},
		{"PARLEY_HOSTS=*.com", "PARLEY_HOSTS", "anybody can get one"},
		{"PARLEY_HOSTS=http://chat.local", "PARLEY_HOSTS", "write the host alone"},
		{"PARLEY_HOSTS=a.test,", "PARLEY_HOSTS", "nothing"},
		{"PARLEY_HOSTS=a.test PARLEY_MODE=production", "PARLEY_HOSTS", "for development only"},
		{"PARLEY_HOSTS=a.test PARLEY_ADDR=:8080", "PARLEY_HOSTS", "for development only"},
		{"PARLEY_TRUSTED_PROXIES=10.0.0.1", "PARLEY_TRUSTED_PROXIES", "write 10.0.0.1/32"},
		{"PARLEY_TRUSTED_PROXIES=proxy", "PARLEY_TRUSTED_PROXIES", "not a network"},
		{"PARLEY_TRUSTED_PROXIES=0.0.0.0/0", "PARLEY_TRUSTED_PROXIES", "trusts everybody"},
		{"PARLEY_LEASE=2s", "PARLEY_LEASE", "2s is too short; accepted: a duration from 3s to 5m"},
		{"PARLEY_LEASE=6m", "PARLEY_LEASE", "too long"},
		{"PARLEY_LEASE=15", "PARLEY_LEASE", "not a duration"},
		{"PARLEY_ON_CRASH=fail", "PARLEY_ON_CRASH", "accepted: retry or interrupt"},
		{"PARLEY_WAIT_LIMIT=5m PARLEY_REPLY_LIMIT=1m", "PARLEY_WAIT_LIMIT", "longer than a reply may take"},
		{"PARLEY_MAX_RUNNING=0", "PARLEY_MAX_RUNNING", "too small"},
		{"PARLEY_MAX_REPLIES=0", "PARLEY_MAX_REPLIES", "too small"},
		{"PARLEY_QUEUE_AGE=1ms", "PARLEY_QUEUE_AGE", "too short"},
		{"PARLEY_ANSWER_BYTES=1000000", "PARLEY_ANSWER_BYTES", "too small"},
		{"PARLEY_ANSWER_BYTES=20000000", "PARLEY_ANSWERS_PER_USER", "less than twice PARLEY_ANSWER_BYTES (40000000)"},
		{"PARLEY_ANSWER_BYTES=2097152 PARLEY_MAX_SYSTEM_PROMPT_BYTES=2000000", "PARLEY_ANSWER_BYTES",
			"less than twice what one text may have (4000000)"},
		{"PARLEY_MAX_MESSAGE_BYTES=4194304", "PARLEY_MAX_PROMPT_BYTES",
			"less than a message and a system prompt may have together (4227072)"},
		{"PARLEY_ANSWERS=20000000", "PARLEY_ANSWERS", "less than PARLEY_ANSWERS_PER_USER (33554432)"},
		{"PARLEY_REQUESTS_PER_USER=0", "PARLEY_REQUESTS_PER_USER", "too small"},
		{"PARLEY_SUBSCRIPTIONS_PER_USER=0", "PARLEY_SUBSCRIPTIONS_PER_USER", "too small"},
		{"PARLEY_SOCKETS_PER_USER=0", "PARLEY_SOCKETS_PER_USER", "too small"},
		{"PARLEY_SOCKETS_PER_ADDRESS=0", "PARLEY_SOCKETS_PER_ADDRESS", "too small"},
		{"PARLEY_DB_CONNECTIONS=3", "PARLEY_DB_CONNECTIONS", "too small"},
		{"PARLEY_SENDS_PER_MINUTE=many", "PARLEY_SENDS_PER_MINUTE", "not a whole number"},
		{"PARLEY_TOKENS_PER_DAY=-1", "PARLEY_TOKENS_PER_DAY", "too small"},
		{"PARLEY_MODELS=a,a", "PARLEY_MODELS", "given twice"},
		{"PARLEY_THINK_TAGS=<think>", "PARLEY_THINK_TAGS", "no name of a tag"},
		{"PARLEY_THINK_TAGS=on", "PARLEY_THINK_TAGS", "no name of a tag"},
		{"PARLEY_MODELS=a,b PARLEY_MODEL=c", "PARLEY_MODEL", "not one of PARLEY_MODELS: a, b"},
		{"PARLEY_ELIZA=off", "PARLEY_ELIZA", "no model at all"},
		{"PARLEY_LOG=xml", "PARLEY_LOG", "accepted: text or json"},
		{"PARLEY_LOG_LEVEL=INFO+1", "PARLEY_LOG_LEVEL", "accepted: debug, info, warn or error"},
		{"PARLEY_OIDC_ISSUER=i", "PARLEY_OIDC_JWKS_URL", "required"},
		{"PARLEY_OIDC_ISSUER=i,j PARLEY_OIDC_AUDIENCE=a PARLEY_OIDC_JWKS_URL=https://h,https://h",
			"PARLEY_OIDC_AUDIENCE", "1 of 2"},
		{"PARLEY_OIDC_ISSUER=i PARLEY_OIDC_AUDIENCE=a PARLEY_OIDC_JWKS_URL=http://h", "PARLEY_OIDC_JWKS_URL",
			"not https"},
		{"PARLEY_OIDC_ISSUER=parley PARLEY_OIDC_AUDIENCE=a PARLEY_OIDC_JWKS_URL=https://h", "PARLEY_OIDC_ISSUER",
			"own issuer"},
		{"PARLEY_OIDC_ISSUER=i,i PARLEY_OIDC_AUDIENCE=a,b PARLEY_OIDC_JWKS_URL=https://h,https://h",
			"PARLEY_OIDC_ISSUER", "given twice"},
		{"OPENAI_API_KEY=hunter2ä", "OPENAI_API_KEY", "header"},
		{"OPENAI_BASE_URL=https://u:hunter2@h/v1", "OPENAI_BASE_URL", "user name or password"},
		{"OPENAI_BASE_URL=api.example.com", "OPENAI_BASE_URL", "http://"},
	} {
		t.Run(tt.environ, func(t *testing.T) {
			t.Parallel()
			environ := strings.Fields(tt.environ)
			if tt.name == "PARLEY_ISSUER" {
				environ = []string{tt.environ}
			}
			got := loadErrors(t, environ...)[tt.name]
			if !strings.Contains(got, tt.problem) || !strings.HasPrefix(got, tt.name+": ") {
				t.Errorf("got the error %q, want one of %s that says %q", got, tt.name, tt.problem)
			}
			if strings.Contains(got, "hunter2") {
				t.Errorf("the error holds the secret: %q", got)
			}
		})
	}
}

func TestConfigReportsAllErrorsAtOnce(t *testing.T) {
	t.Parallel()
	got := loadErrors(t, "PARLEY_ADRESS=:80", "PARLEY_LEASE=1s", "PARLEY_MODELS=a", "PARLEY_MODEL=b", "PARLEY_LOG=xml")
	for _, name := range []string{"PARLEY_ADRESS", "PARLEY_LEASE", "PARLEY_MODEL", "PARLEY_LOG"} {
		if got[name] == "" {
			t.Errorf("no error for %s in %v", name, got)
		}
	}
	if len(got) != 4 {
		t.Errorf("got %d errors, want 4: %v", len(got), got)
	}
}

// A replica with keys or a database of its own would be a second, separate Parley.
func TestConfigNATSNeedsSharedKeysAndDatabase(t *testing.T) {
	t.Parallel()
	got := loadErrors(t, "PARLEY_NATS_URL=nats://a, tls://u:p@b:4222")
	for _, name := range []string{"PARLEY_AUTH_KEYS", "PARLEY_DATABASE_URL"} {
		if !strings.Contains(got[name], "required with PARLEY_NATS_URL") {
			t.Errorf("the error for %s is %q, want that it is required", name, got[name])
		}
	}
	if len(got) != 2 {
		t.Errorf("got %d errors, want 2: %v", len(got), got)
	}
	c := mustLoad(t, "PARLEY_NATS_URL=nats://a, tls://u:p@b:4222", "PARLEY_DATABASE_URL=postgres://h/d",
		"PARLEY_AUTH_KEYS="+testKeys)
	if want := "nats://a,tls://u:p@b:4222"; c.NATSURL.Reveal() != want {
		t.Errorf("got the servers %q, want %q", c.NATSURL.Reveal(), want)
	}
}

// Where several replicas stand behind a load balancer, that gets time to turn away.
func TestConfigDrain(t *testing.T) {
	t.Parallel()
	if c := mustLoad(t); c.Drain != 0 {
		t.Errorf("one replica drains for %v, want not at all", c.Drain)
	}
	c := mustLoad(t)
	c.NATSURL = secret.New("nats://h")
	if c.derive(nil); c.Drain != balancedDrain {
		t.Errorf("one of several replicas drains for %v, want %v", c.Drain, balancedDrain)
	}
	c = mustLoad(t)
	c.NATSURL = secret.New("nats://h")
	if c.derive(map[string]string{"PARLEY_DRAIN": "0s"}); c.Drain != 0 {
		t.Errorf("with PARLEY_DRAIN=0s it drains for %v", c.Drain)
	}
	if c := mustLoad(t, "PARLEY_DRAIN=1m"); c.Drain != time.Minute {
		t.Errorf("with PARLEY_DRAIN=1m it drains for %v", c.Drain)
	}
}

func TestConfigUnknownNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"PARLEY_ADRESS":      "PARLEY_ADDR",
		"PARLEY_MODLES":      "PARLEY_MODELS",
		"PARLEY_DB_URL":      "PARLEY_DATABASE_URL",
		"PARLEY_DATABASEURL": "PARLEY_DATABASE_URL",
		"PARLEY_sign_up":     "PARLEY_",
		"PARLEY_":            "PARLEY_",
		"PARLEY_WEB_PORT":    "PARLEY_",
	} {
		if got := loadErrors(t, name+"=9000")[name]; !strings.Contains(got, "did you mean "+want) {
			t.Errorf("error for %s: %q, want the hint %s", name, got, want)
		}
	}
}

func TestConfigIgnoresLinkVariables(t *testing.T) {
	t.Parallel()
	c := mustLoad(t,
		"PARLEY_SERVICE_HOST=10.0.0.1", "PARLEY_SERVICE_PORT=80", "PARLEY_SERVICE_PORT_HTTP=80",
		"PARLEY_PORT=tcp://10.0.0.1:80",
		"PARLEY_PORT_80_TCP=tcp://10.0.0.1:80", "PARLEY_PORT_80_TCP_PROTO=tcp", "PARLEY_PORT_80_TCP_ADDR=10.0.0.1",
		"PARLEY_DB_SERVICE_HOST=10.0.0.2", "PARLEY_DB_SERVICE_PORT=5432", "PARLEY_DB_PORT=tcp://10.0.0.2:5432",
		"PARLEY_DB_PORT_5432_TCP_ADDR=10.0.0.2")
	if len(c.Notes) != 0 {
		t.Errorf("notes %q for the variables of Kubernetes, want none", c.Notes)
	}
	if c := mustLoad(t, "PARLEY_PORT=9000"); len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "PARLEY_ADDR") {
		t.Errorf("PARLEY_PORT=9000: notes %q, want one that names PARLEY_ADDR", c.Notes)
	}
	for _, v := range variables {
		if linkName.MatchString(v.name) || strings.HasPrefix(v.name, testPrefix) || strings.HasSuffix(v.name, "_PORT") {
			t.Errorf("%s is a name that Kubernetes, Docker or the tests may set", v.name)
		}
	}
}

// A NATS that nothing proves to be the right one is said at start, without its password.
func TestUnverifiedNATSIsNoted(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]int{
		"nats://u:hunter2@nats.example.com": 1, "tls://u:hunter2@nats.example.com": 0, "nats://u:hunter2@127.0.0.1": 0,
	} {
		c := mustLoad(t, "PARLEY_NATS_URL="+url, "PARLEY_AUTH_KEYS="+testKeys, "PARLEY_DATABASE_URL=postgres://h/d")
		if notes := strings.Join(c.Notes, "\n"); len(c.Notes) != want || strings.Contains(notes, "hunter2") ||
			want > 0 && !strings.Contains(notes, "nats.example.com") {
			t.Errorf("%s: notes %q, want %d", url, notes, want)
		}
	}

}

func TestConfigTableIsComplete(t *testing.T) {
	t.Parallel()
	for i, v := range variables {
		if slices.ContainsFunc(variables[:i], func(o variable) bool { return o.name == v.name }) {
			t.Errorf("%s is in the table twice", v.name)
		}
		if v.accepted == "" || v.meaning == "" || v.example == "" || v.parse == nil || v.show == nil {
			t.Errorf("%s: an empty column", v.name)
		}
		if v.value != "" && v.fallback != "" {
			t.Errorf("%s: both a default and words for one", v.name)
		}
		if v.name == "PARLEY_AUTH_KEYS" {
			continue // A key that works must not stand in the documentation.
		}
		var c config
		if err := v.parse(&c, v.example); err != nil {
			t.Errorf("%s refuses its own example: %v", v.name, err)
		}
		if v.secret {
			if _, ok := v.show(c).(secret.Text); !ok {
				t.Errorf("%s is secret and is shown as %T", v.name, v.show(c))
			}
		}
	}
}

// How a secret prints is the business of internal/secret; here it counts that all of
// them are of that type.
func TestConfigurationPrintsNoSecret(t *testing.T) {
	t.Parallel()
	const password = "hunter2"
	c := mustLoad(t, "PARLEY_DATABASE_URL=postgres://u:"+password+"@h/d", "PARLEY_AUTH_KEYS="+testKeys,
		"OPENAI_API_KEY="+password, "PARLEY_NATS_URL=nats://u:"+password+"@h")
	var out strings.Builder
	fmt.Fprintf(&out, "%v %#v", c, &c)
	slog.New(slog.NewTextHandler(&out, nil)).LogAttrs(t.Context(), slog.LevelInfo, "configuration", c.Summary()...)
	for _, text := range []string{password, testKeys} {
		if strings.Contains(out.String(), text) {
			t.Errorf("a secret is printed:\n%s", out.String())
		}
	}
	if n := strings.Count(out.String(), secret.Redacted); n != 3*4 {
		t.Errorf("%s is printed %d times, want it wherever a secret stands", secret.Redacted, n)
	}
}

func TestHelpNamesEveryVariable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := writeConfigHelp(&out); err != nil {
		t.Fatal(err)
	}
	for _, v := range variables {
		if !strings.Contains(out.String(), "\n  "+v.name+"\n") {
			t.Errorf("--help does not name %s", v.name)
		}
	}
	if strings.Contains(out.String(), "`") {
		t.Error("--help holds Markdown")
	}
}

func TestConfigurationTable(t *testing.T) {
	const (
		path  = "../../docs/configuration.md"
		begin = "<!-- Made from cmd/parley/config_table.go by make generate. Do not edit below. -->\n"
	)
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, got, ok := strings.Cut(string(page), begin)
	if !ok {
		t.Fatalf("%s has no line %q", path, begin)
	}
	want := configMarkdown()
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("%s is not what config_table.go says; run make generate (-got +want):\n%s", path, diff)
	}
}

// What parley config prints of a setting is a value that the setting takes.
func TestConfigTakesWhatItPrints(t *testing.T) {
	t.Parallel()
	out, err := runInside(t, []string{"PARLEY_TRUSTED_PROXIES=10.0.0.0/8,fd00::/8", "PARLEY_MODELS=a,b",
		"OPENAI_API_KEY=x", "PARLEY_HOSTS=*.test,10.1.2.3"}, "config", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var shown shownConfig
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		t.Fatal(err)
	}
	for _, s := range shown.Settings {
		var c config
		v := variables[slices.IndexFunc(variables, func(v variable) bool { return v.name == s.Name })]
		if v.secret || s.Value == "" || s.Name == "PARLEY_ALLOWED_ORIGINS" && s.Source == "default" {
			continue // Those of the development server have no form of their own.
		}
		if err := v.parse(&c, s.Value); err != nil {
			t.Errorf("%s is printed as %q: %v", s.Name, s.Value, err)
		}
	}
	if len(shown.Settings) != len(variables) {
		t.Errorf("%d of %d settings are printed", len(shown.Settings), len(variables))
	}
}

// Both listeners say who may have the address, and which variable names another one.
func TestTakenAddresses(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, name := range []string{"PARLEY_ADDR", "PARLEY_METRICS_ADDR"} {
		environ := []string{"PARLEY_DATA_DIR=" + t.TempDir(), name + "=" + taken.Addr().String()}
		if name != "PARLEY_ADDR" {
			environ = append(environ, "PARLEY_ADDR=127.0.0.1:0")
		}
		_, err := runInside(t, environ, "serve")
		if want := "set " + name + " to another address"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
}
