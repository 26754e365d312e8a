package main

import (
	"context"
	"fmt"

	"parley/internal/bus"
)

// openBus makes the bus, within this process or between replicas. It is closed when
// nothing publishes any more, and sends the last facts then.
func (s *server) openBus(ctx context.Context) (closeBus func() error, err error) {
	if s.cfg.NATSURL.IsZero() {
		s.local = bus.NewLocal()
		s.bus = s.local
		return func() error { return nil }, nil
	}
	n, err := bus.Connect(ctx, bus.Config{
		URL:       s.cfg.NATSURL.Reveal(),
		Namespace: bus.Namespace(s.cfg.Issuer),
		Lossy:     s.cfg.LossyBus,
		Log:       s.log,
	})
	if err != nil {
		return nil, fmt.Errorf("PARLEY_NATS_URL: %w", err)
	}
	s.bus, s.wire, s.nats = n, n, n
	return func() error { n.Close(); return nil }, nil
}
