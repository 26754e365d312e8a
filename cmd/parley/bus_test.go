package main

import (
	"log/slog"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"

	"parley/internal/fact"
	"parley/internal/pid"
	"parley/internal/secret"
	"parley/internal/waittest"
)

// Replicas of one installation hear each other through NATS, other installations
// do not, and without NATS, or while it is down, a replica works by itself.
func TestBusOfReplicas(t *testing.T) {
	t.Parallel()
	srv, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server does not start")
	}
	open := func(url, issuer string) *server {
		s := &server{cfg: config{NATSURL: secret.New(url), Issuer: issuer}, log: slog.New(slog.DiscardHandler)}
		closeBus, err := s.openBus(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = closeBus() })
		return s
	}
	a, b := open(srv.ClientURL(), "one"), open(srv.ClientURL(), "one")
	other, alone, down := open(srv.ClientURL(), "two"), open("", "one"), open("nats://127.0.0.1:1", "one")
	if a.wire == nil || down.wire == nil || alone.wire != nil {
		t.Errorf("wires %v, %v and %v, want two and none", a.wire, down.wire, alone.wire)
	}
	f := fact.Fact{Kind: fact.StopRequested, MessageID: pid.New(pid.Message)}
	remote, foreign := b.bus.Subscribe(fact.Control), other.bus.Subscribe(fact.Control)
	defer remote.Close()
	defer foreign.Close()
	deadline := time.After(waittest.Limit)
	for heard := false; !heard; {
		a.bus.Publish(f)
		select {
		case <-remote.Facts():
			heard = true
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatal("the other replica hears nothing")
		}
	}
	if len(foreign.Facts()) > 0 {
		t.Error("another installation hears the fact")
	}
	for _, s := range []*server{alone, down} {
		own := s.bus.Subscribe(fact.Control)
		s.bus.Publish(f)
		if len(own.Facts()) != 1 {
			t.Error("a replica by itself does not hear itself")
		}
		own.Close()
	}
}
