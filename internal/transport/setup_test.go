package transport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"go.uber.org/goleak"

	"parley/internal/refusal"
	"parley/internal/transport"
	"parley/internal/waittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits that should take no time at all.
const patience = waittest.Limit

// The tokens that the fake authentication knows.
const (
	goodToken = "good-token"
	badToken  = "bad-token"  // Refused.
	downToken = "down-token" // The database does not answer.
)

var errDown = errors.New("pq: the database is down")

const schema = `
	type Query { who: String  echo(text: String!): String  boom: String }
	type Mutation { write: Int  hold: String  echo(text: String!): String }
	type Subscription { text: String!  never: String!  once: Int!  count(to: Int!): Int!  refused: String! }`

// bundle is a server over a tiny schema, without gqlgen's generated code.
type bundle struct {
	t      testing.TB
	server *transport.Server
	url    string
	log    *logBuffer
	// text is what the subscription text gives; closing it completes.
	text chan string
	// running counts subscriptions, writes the mutations that have run.
	running, writes atomic.Int64
	// ended counts calls of Authenticate's end, begun its successes.
	begun, ended atomic.Int64

	mu sync.Mutex
	// expire ends the contexts of good tokens. Guarded by mu.
	expire []context.CancelFunc
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// waits are the server's; zero fields are long.
type waits struct{ init, ping, pong, write, sse time.Duration }

// refuseOrigin lets pages of one other origin call.
func refuseOrigin(origin string) *refusal.Error {
	if origin == "https://app.example" {
		return nil
	}
	return refusal.Forbidden("Pages of " + strconv.Quote(origin) + " may not call.")
}

func setup(t testing.TB, w waits, change func(*transport.Config)) *bundle {
	t.Helper()
	b := &bundle{t: t, log: &logBuffer{}, text: make(chan string)}
	cfg := transport.Config{
		Schema: b.schema(),
		ErrorPresenter: func(_ context.Context, err error) *gqlerror.Error {
			if errors.Is(err, errDown) {
				return &gqlerror.Error{Message: "Try again.", Extensions: map[string]any{"code": "UNAVAILABLE"}}
			}
			var e *gqlerror.Error
			if errors.As(err, &e) && e.Extensions["code"] != nil {
				return e
			}
			return &gqlerror.Error{Message: "Internal error.", Extensions: map[string]any{"code": "INTERNAL"}}
		},
		Recover: func(context.Context, any) error { return errors.New("panic") },
		Operations: func(ctx context.Context,
			next graphql.OperationHandler) graphql.ResponseHandler {
			return next(ctx)
		},
		Authenticate: b.authenticate,
		RefuseOrigin: refuseOrigin,
		Log:          slog.New(slog.NewTextHandler(b.log, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	for _, d := range []*time.Duration{&w.init, &w.ping, &w.pong, &w.write, &w.sse} {
		if *d == 0 {
			*d = time.Minute
		}
	}
	b.server = transport.NewImpatient(cfg, w.init, w.ping, w.pong, w.write, w.sse)
	web := httptest.NewServer(b.server)
	b.url = web.URL
	t.Cleanup(func() {
		b.server.Close(b.t.Context())
		web.CloseClientConnections()
		web.Close()
		eventually(t, "no subscription runs", func() bool { return b.running.Load() == 0 })
		eventually(t, "no socket or stream is left", func() bool { return b.server.Open() == 0 })
		eventually(t, "nothing is held or counted", func() bool {
			bytes, users := b.server.Held()
			return bytes == 0 && users == 0
		})
		eventually(t, "every authentication was ended", func() bool { return b.begun.Load() == b.ended.Load() })
	})
	return b
}

func start(t testing.TB) *bundle {
	t.Helper()
	return setup(t, waits{}, nil)
}

type whoKey struct{}

func (b *bundle) authenticate(ctx context.Context, token string) (transport.Identity, error) {
	switch token {
	case "":
		b.begun.Add(1)
		return transport.Identity{Context: ctx, End: func() { b.ended.Add(1) }}, nil
	case goodToken:
		ctx, cancel := context.WithCancel(context.WithValue(ctx, whoKey{}, "ada"))
		b.mu.Lock()
		b.expire = append(b.expire, cancel)
		b.mu.Unlock()
		b.begun.Add(1)
		return transport.Identity{Context: ctx, User: "ada", End: func() { b.ended.Add(1); cancel() }}, nil
	case downToken:
		return transport.Identity{}, errDown
	}
	return transport.Identity{Context: ctx}, transport.ErrForbidden
}

// expireTokens ends everything that good tokens have begun.
func (b *bundle) expireTokens() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, cancel := range b.expire {
		cancel()
	}
	b.expire = nil
}

// schema executes the first field of an operation.
func (b *bundle) schema() graphql.ExecutableSchema {
	parsed := gqlparser.MustLoadSchema(&ast.Source{Input: schema})
	return &graphql.ExecutableSchemaMock{
		SchemaFunc:     func() *ast.Schema { return parsed },
		ComplexityFunc: func(context.Context, string, string, int, map[string]any) (int, bool) { return 0, false },
		ExecFunc: func(ctx context.Context) graphql.ResponseHandler {
			op := graphql.GetOperationContext(ctx)
			field := op.Operation.SelectionSet[0].(*ast.Field)
			give := func(v any) *graphql.Response {
				data, err := json.Marshal(map[string]any{field.Alias: v})
				if err != nil {
					panic(err)
				}
				return &graphql.Response{Data: data}
			}
			// resolved gives a field as the executor's generated code does.
			resolved := func(ctx context.Context, v any) *graphql.Response {
				v, err := op.ResolverMiddleware(ctx, func(context.Context) (any, error) { return v, nil })
				if err != nil {
					graphql.AddError(ctx, err)
				}
				return give(v)
			}
			if op.Operation.Operation != ast.Subscription {
				done := false
				return func(ctx context.Context) *graphql.Response {
					if done {
						return nil
					}
					done = true
					switch field.Name {
					case "who":
						return give(ctx.Value(whoKey{}))
					case "echo":
						return resolved(ctx, field.ArgumentMap(op.Variables)["text"])
					case "hold":
						select {
						case s := <-b.text:
							return give(s)
						case <-ctx.Done():
							return nil
						}
					case "write":
						return give(b.writes.Add(1))
					}
					graphql.AddError(ctx, errors.New("pq: secret detail"))
					return give(nil)
				}
			}
			if field.Name == "refused" {
				return graphql.OneShot(graphql.ErrorResponse(ctx, "no"))
			}
			b.running.Add(1)
			context.AfterFunc(ctx, func() { b.running.Add(-1) })
			n := 0
			return func(ctx context.Context) *graphql.Response {
				text := b.text
				switch field.Name {
				case "once":
					if n++; n == 1 {
						return give(n)
					}
					text = nil
				case "never":
					text = nil
				}
				if to, ok := field.ArgumentMap(op.Variables)["to"].(int64); ok {
					if n++; n > int(to) {
						return nil
					}
					return give(n)
				}
				select {
				case <-ctx.Done():
					return nil
				case s, ok := <-text:
					if !ok {
						return nil
					}
					return resolved(ctx, s)
				}
			}
		},
	}
}

// say hands the subscription its next text.
func (b *bundle) say(text string) {
	b.t.Helper()
	select {
	case b.text <- text:
	case <-time.After(patience):
		b.t.Fatal("no subscription takes the text")
	}
}

// request makes a POST that is right unless it is changed.
func (b *bundle) request(body string, header ...string) *http.Request {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.url, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// reply is an answer that has been read to its end.
type reply struct {
	*http.Response
	text string
}

func (b *bundle) do(r *http.Request) reply {
	b.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return reply{resp, string(text)}
}

// code returns the code of the only error, "" when there is none.
func (r reply) code() string {
	var body struct {
		Errors []struct{ Extensions struct{ Code string } }
	}
	if err := json.Unmarshal([]byte(r.text), &body); err != nil {
		return fmt.Sprintf("no JSON (%v): %s", err, r.text)
	}
	switch len(body.Errors) {
	case 0:
		return ""
	case 1:
		return body.Errors[0].Extensions.Code
	}
	return "several errors: " + r.text
}

func operation(query string) string {
	b, err := json.Marshal(map[string]any{"query": query})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Errorf("it did not happen: %s", what)
			return
		}
	}
}
