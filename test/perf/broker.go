package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	nats "github.com/nats-io/nats-server/v2/server"
)

// broker is a NATS server in this process, which connects replicas.
type broker struct {
	server *nats.Server
	url    string
}

// startBroker starts on a free port. The caller stops it.
func startBroker() (*broker, error) {
	s, err := nats.NewServer(&nats.Options{Host: "127.0.0.1", Port: nats.RANDOM_PORT, NoLog: true, NoSigs: true,
		NoSystemAccount: true})
	if err != nil {
		return nil, fmt.Errorf("start NATS: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(startLimit) {
		s.Shutdown()
		return nil, errors.New("the NATS server does not start")
	}
	return &broker{s, fmt.Sprintf("nats://%s", s.Addr())}, nil
}

func (b *broker) stop() {
	b.server.Shutdown()
	b.server.WaitForShutdown()
}

// clusterKeys is a signing key that replicas share.
func clusterKeys() string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // Never fails.
	return "perf:" + base64.RawURLEncoding.EncodeToString(secret)
}
