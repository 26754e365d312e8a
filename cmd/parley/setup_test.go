package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"parley/internal/store/storetest"
	"parley/internal/waittest"
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "parley-binary-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // Left-overs in the temporary folder harm nobody.
	buildBinary = sync.OnceValues(func() (string, error) {
		path := filepath.Join(dir, "parley")
		build := exec.Command("go", "build", "-o", path, "-ldflags",
			"-X parley/internal/version.number=v7.8.9 -X parley/internal/version.commit=c0ffee", ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go build: %w\n%s", err, out)
		}
		return path, nil
	})
	code := m.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// buildBinary builds the program as it is released. The first test that starts it
// as a process pays for it.
var buildBinary func() (string, error)

func binary(t *testing.T) string {
	t.Helper()
	path, err := buildBinary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	// startLimit is for a server on a machine that does much else.
	startLimit = waittest.Limit
	// stopLimit is what the documentation promises for a shutdown.
	stopLimit = 30 * time.Second
)

// eachDatabase runs a test on SQLite and on Postgres, with the settings of an
// empty installation of its own.
func eachDatabase(t *testing.T, test func(t *testing.T, environ []string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, sqliteEnviron(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, append(sqliteEnviron(t), "PARLEY_DATABASE_URL="+storetest.EmptyPostgresConfig(t).DatabaseURL))
	})
}

// sqliteEnviron is an installation on a free port and an empty data folder.
func sqliteEnviron(t *testing.T) []string {
	t.Helper()
	return []string{"PARLEY_ADDR=127.0.0.1:0", "PARLEY_DATA_DIR=" + t.TempDir()}
}

// output collects what a server writes. It is safe for concurrent use.
type output struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// instance is a running server, in this process or in one of its own.
type instance struct {
	url     string
	out     output // standard output and the log
	process *os.Process
	cancel  context.CancelFunc
	ended   chan struct{} // closed when it has ended
	err     error         // of its end; read it after ended only
}

// startInside runs a server in this process, where the race detector sees it.
func startInside(t *testing.T, environ ...string) *instance {
	t.Helper()
	i := launchInside(t, func(ctx context.Context, out io.Writer) error {
		return run(ctx, nil, environ, strings.NewReader(""), out, out)
	})
	i.waitReady(t)
	return i
}

// serveInside is startInside with the clock of its machine set wrong. It may not get ready.
func serveInside(t *testing.T, clockAhead time.Duration, environ ...string) *instance {
	t.Helper()
	cfg, err := loadConfig(environ)
	if err != nil {
		t.Fatal(err)
	}
	cfg.ClockAhead = clockAhead
	i := launchInside(t, func(ctx context.Context, out io.Writer) error {
		return serve(ctx, cfg, newLogger(cfg, out), out)
	})
	i.waitListening(t)
	return i
}

func launchInside(t *testing.T, work func(ctx context.Context, out io.Writer) error) *instance {
	t.Helper()
	i := &instance{ended: make(chan struct{})}
	var ctx context.Context
	ctx, i.cancel = context.WithCancel(context.Background())
	go func() {
		defer close(i.ended)
		i.err = work(ctx, &i.out)
	}()
	t.Cleanup(func() {
		i.cancel()
		<-i.ended
	})
	return i
}

// startProcess runs the built binary and waits until it is ready.
func startProcess(t *testing.T, environ ...string) *instance {
	t.Helper()
	i := launch(t, environ...)
	i.waitReady(t)
	return i
}

// launch runs the built binary.
func launch(t *testing.T, environ ...string) *instance {
	t.Helper()
	i := &instance{ended: make(chan struct{})}
	cmd := exec.Command(binary(t))
	cmd.Env = environ
	cmd.Dir = t.TempDir()
	cmd.Stdout, cmd.Stderr = &i.out, &i.out
	i.begin(t, cmd)
	i.cancel = func() { _ = i.process.Signal(syscall.SIGTERM) } // An error means that it has ended.
	t.Cleanup(i.kill)
	return i
}

// begin starts the process, whose end closes i.ended. The caller ends it with the test.
func (i *instance) begin(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	i.process = cmd.Process
	go func() {
		defer close(i.ended)
		i.err = cmd.Wait()
	}()
}

var listening = regexp.MustCompile(`is listening on (http://\S+)`)

func (i *instance) waitReady(t *testing.T) {
	t.Helper()
	i.waitListening(t)
	eventually(t, startLimit, "the server is ready", func() bool { return i.status(t, "/readyz") == http.StatusOK })
}

// waitListening waits until the server says where it listens.
func (i *instance) waitListening(t *testing.T) {
	t.Helper()
	eventually(t, startLimit, "the server listens", func() bool {
		select {
		case <-i.ended:
			t.Fatalf("the server ended at once: %v\n%s", i.err, i.out.String())
		default:
		}
		m := listening.FindStringSubmatch(i.out.String())
		if m == nil {
			return false
		}
		i.url = m[1]
		return true
	})
}

// kill ends a process as a crash does, and does nothing when it has ended.
func (i *instance) kill() {
	_ = i.process.Kill() // An error means that it has ended.
	<-i.ended
}

// stop asks the server to end and waits for it.
func (i *instance) stop(t *testing.T) {
	t.Helper()
	i.cancel()
	i.waitStopped(t)
}

func (i *instance) waitStopped(t *testing.T) {
	t.Helper()
	i.waitEnded(t)
	if i.err != nil {
		t.Errorf("the server ended with %v, want status 0\n%s", i.err, i.out.String())
	}
}

// waitEnded waits for the end, however it comes.
func (i *instance) waitEnded(t *testing.T) {
	t.Helper()
	over, stop := waittest.Context(t.Context(), stopLimit)
	defer stop()
	select {
	case <-i.ended:
	case <-over.Done():
		t.Fatalf("the server did not end within %v\n%s", stopLimit, i.out.String())
	}
}

// client keeps no connection, so that nothing is left at the end.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}

// status returns the status of a GET, and 0 when nobody answers.
func (i *instance) status(t *testing.T, path string) int {
	t.Helper()
	status, _ := i.get(t, path)
	return status
}

func (i *instance) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	r, err := client.Get(i.url + path)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = r.Body.Close() }() // Only read.
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return 0, ""
	}
	return r.StatusCode, string(text)
}

// answer is what GraphQL answers.
type answer struct {
	Data   json.RawMessage
	Errors []struct {
		Message    string
		Extensions map[string]any
	}
}

// code returns the code of the first error, "" without one.
func (a answer) code() string {
	if len(a.Errors) == 0 {
		return ""
	}
	code, _ := a.Errors[0].Extensions["code"].(string)
	return code
}

var errNoAnswer = errors.New("no answer of GraphQL")

// post sends one operation.
func (i *instance) post(ctx context.Context, token, query string, variables map[string]any) (answer, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return answer{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, i.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }() // Only read.
	var a answer
	if err := json.NewDecoder(response.Body).Decode(&a); err != nil {
		return answer{}, fmt.Errorf("%w: %s: %w", errNoAnswer, response.Status, err)
	}
	return a, nil
}

// ask sends one operation that must be answered, if only by a refusal.
func (i *instance) ask(t *testing.T, token, query string, variables map[string]any) answer {
	t.Helper()
	a, err := i.post(t.Context(), token, query, variables)
	if err != nil {
		t.Fatalf("%s: %v\n%s", query, err, i.out.String())
	}
	return a
}

// into sends one operation that must succeed.
func (i *instance) into(t *testing.T, token, query string, variables map[string]any, data any) {
	t.Helper()
	a := i.ask(t, token, query, variables)
	if len(a.Errors) > 0 {
		t.Fatalf("%s: got the errors %v", query, a.Errors)
	}
	if err := json.Unmarshal(a.Data, data); err != nil {
		t.Fatal(err)
	}
}

// tokens are what signing in gives.
type tokens struct{ AccessToken, RefreshToken string }

const testPassword = "a canary in a coal mine"

func (i *instance) signUp(t *testing.T, email string) tokens {
	t.Helper()
	var data struct{ SignUp tokens }
	i.into(t, "", `mutation ($e: String!, $p: String!) { signUp(input: {email: $e, password: $p}) { accessToken refreshToken } }`,
		map[string]any{"e": email, "p": testPassword}, &data)
	return data.SignUp
}

// signIn returns the tokens, or the code of the refusal.
func (i *instance) signIn(t *testing.T, email, password string) (tokens, string) {
	t.Helper()
	a := i.ask(t, "", `mutation ($e: String!, $p: String!) { signIn(input: {email: $e, password: $p}) { accessToken refreshToken } }`,
		map[string]any{"e": email, "p": password})
	var data struct{ SignIn tokens }
	if a.code() == "" {
		if err := json.Unmarshal(a.Data, &data); err != nil {
			t.Fatal(err)
		}
	}
	return data.SignIn, a.code()
}

// sent is what sendMessage gives.
type sent struct {
	Deduplicated bool
	Conversation struct{ ID string }
	UserMessage  struct{ ID string }
	Reply        replyState
}

// replyState is what a test needs to know of a reply.
type replyState struct {
	ID, Status, Content string
	Attempt             int
}

const sendDocument = `mutation ($input: SendMessageInput!) { sendMessage(input: $input) {
	deduplicated conversation { id } userMessage { id } reply { id status content attempt } } }`

// send sends a message. A refusal is an error too.
func (i *instance) send(ctx context.Context, token string, input map[string]any) (sent, error) {
	a, err := i.post(ctx, token, sendDocument, map[string]any{"input": input})
	if err != nil {
		return sent{}, err
	}
	if len(a.Errors) > 0 {
		return sent{}, fmt.Errorf("%s: %s", a.code(), a.Errors[0].Message)
	}
	var data struct{ SendMessage sent }
	err = json.Unmarshal(a.Data, &data)
	return data.SendMessage, err
}

func (i *instance) mustSend(t *testing.T, token string, input map[string]any) sent {
	t.Helper()
	s, err := i.send(t.Context(), token, input)
	if err != nil {
		t.Fatalf("send: %v\n%s", err, i.out.String())
	}
	return s
}

func (i *instance) reply(t *testing.T, token, id string) replyState {
	t.Helper()
	var data struct{ Node *replyState }
	i.into(t, token, `query ($id: ID!) { node(id: $id) { ... on Message { id status content attempt } } }`,
		map[string]any{"id": id}, &data)
	if data.Node == nil {
		t.Fatalf("reply %s is gone", id)
	}
	return *data.Node
}

// eventually polls until ok reports true, and fails after the limit.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	waittest.Within(t, limit, what, ok)
}

// result is how a command ended.
type result struct {
	code           int
	stdout, stderr string
}

// command runs the built binary with arguments to its end.
func command(t *testing.T, environ []string, stdin string, args ...string) result {
	t.Helper()
	path := binary(t) // Building it takes its own time.
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = environ
	cmd.Dir = t.TempDir()
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("parley %v: %v", args, err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}
