package cluster

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Broker is the NATS server of a cluster, in this process. It may stop and start
// again at the same address.
type Broker struct {
	mu     sync.Mutex // guards the fields below
	port   int
	server *server.Server // nil while it is down.
}

// startBroker starts on a free port. The caller stops it.
func startBroker() (*Broker, error) {
	b := &Broker{port: server.RANDOM_PORT}
	return b, b.Start()
}

// Start starts the server, if it is down, and returns when it takes connections.
func (b *Broker) Start() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.server != nil {
		return nil
	}
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: b.port, NoLog: true, NoSigs: true,
		NoSystemAccount: true})
	if err != nil {
		return fmt.Errorf("start NATS: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		s.Shutdown()
		return errors.New("the NATS server does not start")
	}
	b.server, b.port = s, s.Addr().(*net.TCPAddr).Port
	return nil
}

// Stop stops the server, which ends all connections to it.
func (b *Broker) Stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
		b.server = nil
	}
}

// addr is where the server is, up or down.
func (b *Broker) addr() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprintf("127.0.0.1:%d", b.port)
}
