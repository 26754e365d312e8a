package bus_test

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"parley/internal/bus"
	"parley/internal/bus/bustest"
	"parley/internal/fact"
	"parley/internal/pid"
)

// BenchmarkPublish is what a fact costs its publisher with one listener here and
// nobody elsewhere.
func BenchmarkPublish(b *testing.B) {
	run := func(b *testing.B, on fact.Bus) {
		b.ReportAllocs()
		u := pid.New(pid.User)
		sub := on.Subscribe(fact.OfUser(u))
		defer sub.Close()
		f := created(u)
		for b.Loop() {
			on.Publish(f)
			<-sub.Facts()
		}
	}
	b.Run("local", func(b *testing.B) { run(b, bus.NewLocal()) })
	b.Run("nats", func(b *testing.B) { run(b, connected(b, at(bustest.Start(b)))) })
}

// BenchmarkSendToArrived is the time from Send on one replica to Arrived on another, one
// piece after the other.
func BenchmarkSendToArrived(b *testing.B) {
	run := func(b *testing.B, from, to *server.Server) {
		sender, receiver := connected(b, at(from)), connected(b, at(to))
		m := pid.New(pid.Message)
		pieces := receiver.Follow(m)
		defer pieces.Close()
		p := said(m, " a token's worth")
		for arrived := false; !arrived; {
			sender.Send(p)
			select {
			case <-pieces.Arrived():
				arrived = true
			case <-time.After(10 * time.Millisecond):
			}
		}
		var took []time.Duration
		for b.Loop() {
			p.Attempt++
			start := time.Now()
			sender.Send(p)
			for (<-pieces.Arrived()).Attempt != p.Attempt { // Left from the beginning.
			}
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	}
	b.Run("one server", func(b *testing.B) {
		srv := bustest.Start(b)
		run(b, srv, srv)
	})
	b.Run("cluster", func(b *testing.B) {
		nodes := startCluster(b)
		run(b, nodes[0], nodes[1])
	})
}
