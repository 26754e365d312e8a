// Package bustest gives tests a NATS server.
package bustest

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// readyLimit is for a server on a machine that does much else.
const readyLimit = 20 * time.Second

// Start runs a NATS server on a loopback port until the test ends. change may set
// other options.
func Start(tb testing.TB, change ...func(*server.Options)) *server.Server {
	tb.Helper()
	options := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		NoSystemAccount: true}
	for _, f := range change {
		f(options)
	}
	srv, err := server.NewServer(options)
	if err != nil {
		tb.Fatal(err)
	}
	srv.Start()
	tb.Cleanup(func() { Stop(srv) })
	if !srv.ReadyForConnections(readyLimit) {
		tb.Fatalf("the NATS server is not ready after %v", readyLimit)
	}
	return srv
}

// Stop ends a server before its test ends. It may be called more than once.
func Stop(srv *server.Server) {
	srv.Shutdown()
	srv.WaitForShutdown()
}
