package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// canary stands in everything that a user writes or that is secret, and nowhere else.
const canary = "Zaunkoenig"

// loggedServer is a server that logs all it can, with a model server that answers by what
// the prompt ends with, and errs in as many ways as it can with the prompt in its mouth.
func loggedServer(t *testing.T, environ ...string) *instance {
	t.Helper()
	model := httptest.NewServer(http.HandlerFunc(answerByPrompt))
	t.Cleanup(model.Close)
	return startInside(t, append(append(sqliteEnviron(t), "PARLEY_LOG=json", "PARLEY_LOG_LEVEL=debug",
		"PARLEY_ACCESS_LOG=on", "PARLEY_SLOW_STATEMENT=1ms", "PARLEY_MODEL=m", "OPENAI_BASE_URL="+model.URL+"/v1",
		"OPENAI_API_KEY=sk-"+canary), environ...)...)
}

func answerByPrompt(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // What is missing shows.
	fail := func(status int, text string) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
	switch prompt := string(body); {
	case r.Method == http.MethodGet:
		fail(http.StatusOK, `{"data":[{"id":"m"}]}`)
	case strings.Contains(prompt, "please refuse"):
		fail(http.StatusBadRequest, `{"error":{"message":"cannot say `+canary+`","type":"invalid_request_error",`+
			`"code":"`+canary+`_error"}}`)
	case strings.Contains(prompt, "please fail"):
		fail(http.StatusInternalServerError, canary)
	case strings.Contains(prompt, "please stammer"):
		w.Header().Set("Content-Type", "text/event-stream")
		fail(http.StatusOK, "data: {\"choices\":[{\"delta\":{\"content\":\""+canary+" \n\ndata: "+canary+"\n\n")
	case strings.Contains(prompt, "please report"):
		w.Header().Set("Content-Type", "text/event-stream")
		fail(http.StatusOK, `data: {"error":{"message":"`+canary+`","code":"`+canary+`"}}`+"\n\n")
	default:
		w.Header().Set("Content-Type", "text/event-stream")
		fail(http.StatusOK, `data: {"choices":[{"delta":{"content":"`+canary+` "},"finish_reason":null}]}`+"\n\n"+
			`data: {"choices":[{"delta":{"content":"indeed"},"finish_reason":"stop"}],`+
			`"usage":{"prompt_tokens":7,"completion_tokens":5}}`+"\n\ndata: [DONE]\n\n")
	}
}

// lines returns the lines of a log in JSON, those that are none left out.
func (i *instance) lines() []map[string]any {
	var lines []map[string]any
	for _, text := range strings.Split(i.out.String(), "\n") {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) == nil {
			lines = append(lines, line)
		}
	}
	return lines
}

// line waits for a line with these values.
func (i *instance) line(t *testing.T, want map[string]any) (found map[string]any) {
	t.Helper()
	eventually(t, startLimit, fmt.Sprintf("a line with %v", want), func() bool {
		for _, line := range i.lines() {
			matches := true
			for name, value := range want {
				matches = matches && fmt.Sprint(line[name]) == fmt.Sprint(value)
			}
			if matches {
				found = line
				return true
			}
		}
		return false
	})
	return found
}

// TestLogKeepsSecrets holds what docs/operations.md says of the log: with everything on, at
// the lowest level, there is nothing in it that a user wrote and nothing secret.
func TestLogKeepsSecrets(t *testing.T) {
	t.Parallel()
	i := loggedServer(t)
	email := canary + "@example.com"
	sign := func(mutation, password string) answer {
		return i.ask(t, "", `mutation Sign($i: `+strings.ToUpper(mutation[:1])+mutation[1:]+`Input!) { `+mutation+
			`(input: $i) { accessToken refreshToken } }`, map[string]any{"i": map[string]any{"email": email,
			"password": password}})
	}
	var data struct {
		SignUp struct{ AccessToken, RefreshToken string }
	}
	if a := sign("signUp", canary+"-password"); json.Unmarshal(a.Data, &data) != nil || data.SignUp.AccessToken == "" {
		t.Fatalf("signing up: %s %v", a.Data, a.Errors)
	}
	sign("signIn", canary+"-wrong")
	token := data.SignUp.AccessToken
	for _, content := range []string{"hello", "please refuse", "please fail", "please stammer", "please report"} {
		a := i.ask(t, token, `mutation Send($i: SendMessageInput!) { sendMessage(input: $i) { reply { id } } }`,
			map[string]any{"i": map[string]any{"content": canary + " " + content, "wait": true,
				"clientKey": "key-" + canary + strings.ReplaceAll(content, " ", "-")}})
		if len(a.Errors) > 0 {
			t.Fatalf("sending: %v", a.Errors)
		}
	}
	i.ask(t, token, `query Zaun { `+canary+` }`, nil)
	i.ask(t, canary, `{ viewer { id } }`, map[string]any{"v": canary})
	i.get(t, "/"+canary+"?token="+canary)
	i.get(t, "/graphql?query={viewer{id}}&access_token="+token+"&x="+canary)
	hostile, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.url+"/graphql",
		strings.NewReader(canary))
	if err != nil {
		t.Fatal(err)
	}
	hostile.Header.Set("Content-Type", canary)
	hostile.Header.Set("traceparent", canary)
	if response, err := client.Do(hostile); err == nil {
		_ = response.Body.Close() // Not read.
	}
	i.line(t, map[string]any{"msg": "model server reports an error", "kinds": "[invalid_request_error]"})
	i.stop(t)
	log := i.out.String()
	for _, secret := range []string{canary, strings.ToLower(canary), token, data.SignUp.RefreshToken} {
		for _, line := range strings.Split(log, "\n") {
			if strings.Contains(line, secret) {
				t.Errorf("the log has %.20s: %s", secret, line)
			}
		}
	}
	checkDurations(t, i.lines())
}

// durationText is a duration as Go writes it.
var durationText = regexp.MustCompile(`^-?[0-9.]+(ns|µs|ms|s|m|h)([0-9.]+[a-z]+)*$`)

// checkDurations finds durations that are no numbers of seconds.
func checkDurations(t *testing.T, lines []map[string]any) {
	t.Helper()
	for _, line := range lines {
		for name, value := range line {
			if text, ok := value.(string); ok && durationText.MatchString(text) {
				t.Errorf("%s is %q in %v, want a number", name, text, line)
			}
			if n, ok := value.(float64); ok && n > 1e6 && line["msg"] != "started" {
				t.Errorf("%s is %v in %v, want seconds", name, n, line)
			}
		}
	}
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	i := loggedServer(t)
	token := i.signUp(t, "ada@example.com").AccessToken
	i.ask(t, token, `query Mine { viewer { id } }`, nil)
	mine := i.line(t, map[string]any{"msg": "request", "operation": "Mine", "status": 200, "kind": "query",
		"way": "http"})
	if took, ok := mine["took"].(float64); !ok || took <= 0 || took > 60 || mine["user_id"] == nil ||
		len(fmt.Sprint(mine["trace_id"])) != 32 {
		t.Errorf("the line of a query is %v", mine)
	}
	i.get(t, "/nothing")
	i.line(t, map[string]any{"msg": "request", "route": "none", "status": 404})
	i.line(t, map[string]any{"msg": "request", "route": "GET /readyz", "status": 200, "level": "DEBUG"})

	// A send over a socket, and the reply it starts, belong to one trace.
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, i.url+"/graphql", &websocket.DialOptions{
		Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"type":"connection_init","payload":{"Authorization":"Bearer ` + token + `","traceparent":"00-` + trace +
		`-00f067aa0ba902b7-01"}}`)
	write(`{"type":"subscribe","id":"1","payload":{"query":"mutation Send { sendMessage(input: {content: \"please fail\"}) ` +
		`{ reply { id } } }"}}`)
	i.line(t, map[string]any{"msg": "request", "operation": "Send", "way": "websocket", "trace_id": trace})
	i.line(t, map[string]any{"msg": "reply failed", "trace_id": trace})
	i.line(t, map[string]any{"msg": "model server reports an error", "trace_id": trace})
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	i.line(t, map[string]any{"msg": "request", "kind": "socket", "status": 1000})
}

// TestAccessLogOfWhatIsTurnedAway has a line for each request to the address of the API that
// never comes to it, and one alone for each that does.
func TestAccessLogOfWhatIsTurnedAway(t *testing.T) {
	t.Parallel()
	i := loggedServer(t)
	for _, header := range []http.Header{{"Accept": {browserAccept}}, {"X-Forwarded-For": {"203.0.113.9"}},
		{"Upgrade": {"websocket"}, "X-Forwarded-For": {"203.0.113.9"}}, {"Origin": {"https://evil.example"}}} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.url+graphqlPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		response, err := http.DefaultTransport.RoundTrip(r) // A client would follow.
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close() // Only the log counts.
	}
	i.stop(t)
	var got []string
	for _, line := range i.lines() {
		if line["msg"] == "request" && line["route"] != "GET /readyz" {
			if len(fmt.Sprint(line["trace_id"])) != 32 {
				t.Errorf("no trace in %v", line)
			}
			got = append(got, fmt.Sprint(line["status"], " ", line["route"]))
		}
	}
	slices.Sort(got) // A line comes behind the answer, and so perhaps behind that of the next one.
	want := []string{"302 /graphql", "403 <nil>", "403 <nil>", "403 <nil>"}
	if !slices.Equal(got, want) {
		t.Errorf("the access log has %q, want %q", got, want)
	}
}

// TestAccessLogIsOff unless somebody asks for it.
func TestAccessLogIsOff(t *testing.T) {
	t.Parallel()
	i := startInside(t, append(sqliteEnviron(t), "PARLEY_LOG_LEVEL=debug")...)
	i.ask(t, "", `{ viewer { id } }`, nil)
	i.stop(t)
	if strings.Contains(i.out.String(), "msg=request") {
		t.Errorf("requests are logged:\n%s", i.out.String())
	}
}

func TestDurationsInJSON(t *testing.T) {
	t.Parallel()
	var out output
	log := newLogger(config{LogFormat: logJSON}, &out)
	log.InfoContext(t.Context(), "x", "plain", 1500*time.Millisecond, "none", time.Duration(0))
	log.WithGroup("g").With("inside", time.Minute).InfoContext(t.Context(), "x")
	for _, want := range []string{`"plain":1.5`, `"none":0`, `"inside":60`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out.String())
		}
	}
}
