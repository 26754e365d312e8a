package bus_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"parley/internal/bus"
	"parley/internal/bus/bustest"
	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/reply"
	"parley/internal/waittest"
)

// patience is how long a test waits for what must happen.
const patience = waittest.Limit

const namespace = "test"

// wirePrefix begins the subjects of pieces, questions and answers.
const wirePrefix = "parley." + namespace + ".v2."

// Short names, for these tests are full of them.
const (
	content = reply.Content
	thought = reply.Reasoning
)

type (
	texts    = reply.Texts
	position = reply.Position
)

// said is a piece from the beginning of a reply's first attempt.
func said(m pid.ID, text string) reply.Piece {
	return reply.Piece{MessageID: m, Attempt: 1, Texts: texts{content: text}, End: position{content: len(text)}}
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// receive waits for the next value.
func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v in vain: %s", patience, what)
	}
	panic("unreachable")
}

// onPort makes a server take over the address of another one, which has stopped.
func onPort(addr net.Addr) func(*server.Options) {
	return func(o *server.Options) { o.Port = addr.(*net.TCPAddr).Port }
}

// startCluster starts three servers that know each other.
func startCluster(t testing.TB) [3]*server.Server {
	t.Helper()
	var nodes [3]*server.Server
	for i := range nodes {
		nodes[i] = bustest.Start(t, func(o *server.Options) {
			o.ServerName = string(rune('a' + i))
			o.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: -1}
			if i > 0 {
				o.Routes = server.RoutesFromStr("nats://" + nodes[0].ClusterAddr().String())
			}
		})
	}
	deadline := time.Now().Add(patience)
	for _, node := range nodes {
		for routedPeers(t, node) != 2 {
			if time.Now().After(deadline) {
				t.Fatal("the NATS cluster does not form")
			}
			<-time.After(2 * time.Millisecond)
		}
	}
	return nodes
}

// routedPeers counts the other servers a server has routes to.
func routedPeers(t testing.TB, srv *server.Server) int {
	t.Helper()
	routes, err := srv.Routez(nil)
	if err != nil {
		t.Fatal(err)
	}
	peers := make(map[string]bool)
	for _, r := range routes.Routes {
		peers[r.RemoteID] = true
	}
	return len(peers)
}

// remoteInterest counts the servers that have told srv of a subscription.
func remoteInterest(t testing.TB, srv *server.Server, subject string) int {
	t.Helper()
	routes, err := srv.Routez(&server.RoutezOptions{Subscriptions: true})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range routes.Routes {
		for _, s := range r.Subs {
			if s == subject {
				n++
			}
		}
	}
	return n
}

// heard counts the subscriptions of the clients of a server to subjects of a kind:
// fact, piece or ask.
func heard(t testing.TB, srv *server.Server, kind string) int {
	t.Helper()
	clients, err := srv.Connz(&server.ConnzOptions{Subscriptions: true})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, c := range clients.Conns {
		for _, subject := range c.Subs {
			if strings.HasPrefix(subject, "parley."+namespace+"."+kind+".") ||
				strings.HasPrefix(subject, wirePrefix+kind+".") {
				n++
			}
		}
	}
	return n
}

// logs collects what a bus logs.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logs) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

// connect makes a bus until the test ends.
func connect(t testing.TB, change ...func(*bus.Config)) *bus.NATS {
	t.Helper()
	cfg := bus.Config{Namespace: namespace, Log: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&cfg)
	}
	n, err := bus.Connect(context.WithoutCancel(t.Context()), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

func to(urls ...string) func(*bus.Config) {
	return func(c *bus.Config) { c.URL = strings.Join(urls, ",") }
}

func at(srv *server.Server) func(*bus.Config) { return to(srv.ClientURL()) }

func logTo(l *logs) func(*bus.Config) {
	return func(c *bus.Config) { c.Log = slog.New(slog.NewTextHandler(l, nil)) }
}

// connected makes a bus that is connected.
func connected(t testing.TB, change ...func(*bus.Config)) *bus.NATS {
	t.Helper()
	n := connect(t, change...)
	for deadline := time.Now().Add(patience); !n.Connected(); <-time.After(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the bus does not connect")
		}
	}
	return n
}

func factSubject(topic fact.Topic) string { return "parley." + namespace + ".fact." + string(topic) }

// stage is buses that hear each other: one publishes, the others listen, which may
// be the same one.
type stage struct {
	publisher fact.Bus
	listeners []fact.Bus
	// settled waits until the publisher's side knows what all listeners want, given
	// one open subscription of each to each of the topics.
	settled func(t *testing.T, topics ...fact.Topic)
	// subscriptions counts those to topics at the listeners' servers.
	subscriptions func() int
}

// onEachStage runs a test on every topology.
func onEachStage(t *testing.T, test func(t *testing.T, s stage)) {
	t.Helper()
	t.Run("local", func(t *testing.T) {
		t.Parallel()
		b := bus.NewLocal()
		test(t, stage{
			publisher: b, listeners: []fact.Bus{b},
			settled:       func(*testing.T, ...fact.Topic) {},
			subscriptions: b.Listeners,
		})
	})
	t.Run("one server", func(t *testing.T) {
		t.Parallel()
		srv := bustest.Start(t)
		test(t, stage{
			publisher: connected(t, at(srv)), listeners: []fact.Bus{connected(t, at(srv))},
			settled: func(t *testing.T, topics ...fact.Topic) {
				for _, topic := range topics {
					eventually(t, "interest in "+string(topic), func() bool {
						return srv.GlobalAccount().SubscriptionInterest(factSubject(topic))
					})
				}
			},
			subscriptions: func() int { return heard(t, srv, "fact") },
		})
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		nodes := startCluster(t)
		test(t, stage{
			publisher: connected(t, at(nodes[0])),
			listeners: []fact.Bus{connected(t, at(nodes[1])), connected(t, at(nodes[2]))},
			settled: func(t *testing.T, topics ...fact.Topic) {
				for _, topic := range topics {
					eventually(t, "interest in "+string(topic), func() bool {
						return remoteInterest(t, nodes[0], factSubject(topic)) == 2
					})
				}
			},
			subscriptions: func() int { return heard(t, nodes[1], "fact") + heard(t, nodes[2], "fact") },
		})
	})
}

// subscribeAll makes every listener of the stage listen, and waits until that is
// known.
func (s stage) subscribeAll(t *testing.T, topic fact.Topic) []fact.Subscription {
	t.Helper()
	subs := make([]fact.Subscription, len(s.listeners))
	for i, b := range s.listeners {
		subs[i] = b.Subscribe(topic)
		t.Cleanup(subs[i].Close)
	}
	s.settled(t, topic)
	return subs
}
