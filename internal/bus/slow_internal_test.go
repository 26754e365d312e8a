package bus

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/waittest"
)

// A replica that cannot keep up with a topic loses facts there, and its listeners
// are told after the last of the losses.
func TestTooSlowForATopic(t *testing.T) {
	t.Parallel()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	n, err := Connect(context.WithoutCancel(t.Context()),
		Config{URL: srv.ClientURL(), Namespace: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	peer, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(peer.Close)

	sub := n.Subscribe(fact.Control)
	defer sub.Close()
	within := time.After(waittest.Limit)
	select {
	case <-sub.Missed(): // NATS has confirmed the subscription.
	case <-within:
		t.Fatal("the subscription is not confirmed")
	}
	f := fact.Fact{Kind: fact.StopRequested, MessageID: pid.New(pid.Message)}
	data, _ := encodeFact(f)
	n.mu.Lock() // Nothing can be delivered now.
	for range 2 * pendingMessages {
		if err := peer.Publish("parley.test.fact.control", data); err != nil {
			t.Fatal(err)
		}
	}
	if err := peer.Flush(); err != nil {
		t.Fatal(err)
	}
	n.mu.Unlock()
	// All that was kept goes through the listener, which reads it. Word of the loss
	// comes with the first, so nobody waits for the regular doubt.
	facts, told := 0, 0
	for told == 0 || facts == 0 {
		select {
		case <-sub.Facts():
			facts++
		case <-sub.Missed():
			told++
		case <-within:
			t.Fatalf("told of the loss %d times, with %d facts", told, facts)
		}
	}
	if facts > pendingMessages+backlog {
		t.Errorf("%d facts were kept, the most is %d", facts, pendingMessages+backlog)
	}
}

// Without a connection listeners doubt more often, and right after one quickly.
func TestDoubtInterval(t *testing.T) {
	t.Parallel()
	n := &NATS{}
	if d := n.doubtInterval(); d != doubtDisconnected {
		t.Errorf("%v without a connection, want %v", d, doubtDisconnected)
	}
	n.connected.Store(true)
	n.hurry.Store(doubtShares)
	for range doubtShares {
		if d := n.doubtInterval(); d != doubtHurried {
			t.Errorf("%v after a connection, want %v", d, doubtHurried)
		}
	}
	if d := n.doubtInterval(); d != doubtConnected {
		t.Errorf("%v with a connection, want %v", d, doubtConnected)
	}
}
