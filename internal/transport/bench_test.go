package transport_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	stock "github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"parley/internal/refusal"
	"parley/internal/transport"
)

// The benchmarks send the same events through our transports, through gqlgen's own,
// and through a bare socket, with one schema that costs next to nothing: what
// differs is the transport. Client and server share the process, and so the
// allocations counted; the client only looks for the end of each event.
//
//	make bench PKG=./internal/transport BENCH='Socket|Events'

// event is about what a lean delta of a reply looks like.
var event = json.RawMessage(`{"messageEvents":{"__typename":"MessageDelta","offset":1234,"text":" some words"}}`)

// ticking gives b.N events.
func ticking(n int) graphql.ExecutableSchema {
	parsed := gqlparser.MustLoadSchema(
		&ast.Source{Input: "type Query { a: Int } type Subscription { messageEvents: Int }"})
	return &graphql.ExecutableSchemaMock{
		SchemaFunc:     func() *ast.Schema { return parsed },
		ComplexityFunc: func(context.Context, string, string, int, map[string]any) (int, bool) { return 0, false },
		ExecFunc: func(context.Context) graphql.ResponseHandler {
			left := n
			return func(context.Context) *graphql.Response {
				if left--; left < 0 {
					return nil
				}
				return &graphql.Response{Data: event}
			}
		},
	}
}

func ours(n int) http.Handler {
	return transport.New(transport.Config{
		Schema:         ticking(n),
		ErrorPresenter: graphql.DefaultErrorPresenter,
		Recover:        graphql.DefaultRecover,
		Authenticate: func(ctx context.Context, _ string) (transport.Identity, error) {
			return transport.Identity{Context: ctx}, nil
		},
		RefuseOrigin: func(string) *refusal.Error { return refusal.Forbidden("No.") },
		Log:          slog.New(slog.DiscardHandler),
	})
}

func gqlgens(n int) http.Handler {
	h := handler.New(ticking(n))
	h.AddTransport(stock.Websocket{})
	h.AddTransport(stock.SSE{})
	return h
}

// bareSocket writes the same frames without any GraphQL.
func bareSocket(n int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"graphql-transport-ws"}})
		if err != nil {
			return
		}
		frame := []byte(`{"id":"1","type":"next","payload":{"data":` + string(event) + `}}`)
		for range 2 { // connection_init and subscribe
			if _, _, err := conn.Read(r.Context()); err != nil {
				return
			}
			if err := conn.Write(r.Context(), websocket.MessageText, []byte(`{"type":"connection_ack"}`)); err != nil {
				return
			}
		}
		for range n {
			if err := conn.Write(r.Context(), websocket.MessageText, frame); err != nil {
				return
			}
		}
		_ = conn.Write(r.Context(), websocket.MessageText, []byte(`{"id":"1","type":"complete"}`)) // The client counts.
		_, _, _ = conn.Read(r.Context())                                                           // Until it goes.
	})
}

func bareEvents(n int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		control := http.NewResponseController(w)
		frame := []byte("event: next\ndata: {\"data\":" + string(event) + "}\n\n")
		for range n {
			if _, err := w.Write(frame); err != nil {
				return
			}
			if err := control.Flush(); err != nil {
				return
			}
		}
		fmt.Fprint(w, "event: complete\ndata:\n\n")
	})
}

func BenchmarkSocket(b *testing.B) {
	for name, server := range map[string]func(int) http.Handler{"parley": ours, "gqlgen": gqlgens, "bare": bareSocket} {
		b.Run(name, func(b *testing.B) {
			web := httptest.NewServer(server(b.N))
			defer web.Close()
			ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
			defer cancel()
			conn, _, err := websocket.Dial(ctx, strings.Replace(web.URL, "http", "ws", 1),
				&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = conn.CloseNow() }()
			write := func(s string) {
				if err := conn.Write(ctx, websocket.MessageText, []byte(s)); err != nil {
					b.Fatal(err)
				}
			}
			write(`{"type":"connection_init"}`)
			if _, _, err := conn.Read(ctx); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			write(`{"id":"1","type":"subscribe","payload":{"query":"subscription { messageEvents }"}}`)
			for got := 0; ; {
				_, data, err := conn.Read(ctx)
				if err != nil {
					b.Fatal(err)
				}
				if strings.Contains(string(data), `"next"`) {
					got++
				} else if strings.Contains(string(data), `"complete"`) {
					if got != b.N {
						b.Fatalf("%d events, want %d", got, b.N)
					}
					return
				}
			}
		})
	}
}

func BenchmarkEvents(b *testing.B) {
	for name, server := range map[string]func(int) http.Handler{"parley": ours, "gqlgen": gqlgens, "bare": bareEvents} {
		b.Run(name, func(b *testing.B) {
			web := httptest.NewServer(server(b.N))
			defer web.Close()
			request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, web.URL,
				strings.NewReader(`{"query":"subscription { messageEvents }"}`))
			if err != nil {
				b.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set("Accept", "text/event-stream")
			b.ReportAllocs()
			b.ResetTimer()
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			got := 0
			lines := bufio.NewScanner(response.Body)
			for lines.Scan() {
				if strings.HasPrefix(lines.Text(), "event: next") {
					got++
				}
			}
			if err := errors.Join(lines.Err()); err != nil || got != b.N {
				b.Fatalf("%d events, want %d (%v)", got, b.N, err)
			}
		})
	}
}
