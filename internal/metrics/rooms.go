package metrics

import (
	"time"

	"parley/internal/auth"
	"parley/internal/bus"
	"parley/internal/chat"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/tally"
	"parley/internal/transport"
	"parley/internal/upstream"
)

// Rooms are what is shown. All fields are required, except NATS.
type Rooms struct {
	Auth      *auth.Service
	Chat      *chat.Service
	Replies   *reply.Engine
	Store     *store.Store
	Transport *transport.Server
	Upstreams map[string]*upstream.Client
	Bus       *bus.Local
	NATS      *bus.NATS // Nil without NATS.
	// Up reports whether the database answers, as far as is known without asking.
	Up func() bool
}

func (r *Rooms) collect(s sink) {
	r.sends(s)
	r.replies(s)
	r.operations(s)
	r.upstreams(s)
	r.database(s)
	s.gauge("parley_bus_connected", truth(r.NATS == nil || r.NATS.Connected()))
	s.counters("parley_bus_gaps_total", r.Bus.Gaps())
}

func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func (r *Rooms) sends(s sink) {
	m := r.Chat.Meters()
	s.counters("parley_sends_total", m.Sends)
	s.counter("parley_sends_queued_total", float64(m.Queued.Count()))
	s.gauge("parley_sends_waiting", float64(r.Replies.Meters().Waiting.Value()))
	s.counters("parley_quota_refusals_total", m.Quotas)
	// The same series from several rooms: no two have a name in common but other, which
	// counts nothing that is not a mistake.
	other := 0.0
	for _, set := range []*tally.Counters{m.Limits, r.Transport.Meters().Limits, r.Auth.Limits()} {
		set.Each(func(kind string, c *tally.Counter) {
			if kind == tally.Other {
				other += float64(c.Count())
				return
			}
			s.counter("parley_rate_limits_total", float64(c.Count()), kind)
		})
	}
	s.counter("parley_rate_limits_total", other, tally.Other)
	s.counters("parley_overload_refusals_total", m.Overload)
	s.counter("parley_overload_refusals_total", float64(r.Transport.Meters().Overload.Count()), "answers")
}

func (r *Rooms) replies(s sink) {
	m := r.Replies.Meters()
	s.gauge("parley_replies_running", float64(r.Replies.Running()))
	m.Models.Each(func(model string, of *reply.ModelMeters) {
		of.Ended.Each(func(status string, c *tally.Counter) {
			if status != tally.Other {
				s.counter("parley_replies_total", float64(c.Count()), status, model)
			}
		})
		s.histogram("parley_reply_first_token_seconds", of.FirstToken, model)
		s.histogram("parley_reply_tokens_per_second", of.Speed, model)
		s.counter("parley_reply_tokens_total", float64(of.PromptTokens.Count()), "prompt", model)
		s.counter("parley_reply_tokens_total", float64(of.CompletionTokens.Count()), "completion", model)
	})
	m.Asides.Each(func(purpose string, results *tally.Counters) {
		if purpose != tally.Other {
			s.counters("parley_asides_total", results, purpose)
		}
	})
	s.counters("parley_takeovers_total", m.Takeovers)
	s.histogram("parley_checkpoint_seconds", m.Checkpoint)
	age, doubted := r.Replies.Lease(time.Now())
	s.gauge("parley_lease_age_seconds", age.Seconds())
	s.gauge("parley_lease_doubted", truth(doubted))
	s.gauge("parley_peers", float64(r.Replies.Peers()))
	s.gauge("parley_mirrors", float64(r.Replies.Mirrors()))
}

func (r *Rooms) operations(s sink) {
	m := r.Transport.Meters()
	m.Operations.Each(func(kind string, results *tally.Counters) {
		s.counters("parley_operations_total", results, kind)
	})
	s.histograms("parley_operation_seconds", m.Took)
	m.Viewers.Each(func(way string, g *tally.Gauge) {
		if way != tally.Other {
			s.gauge("parley_subscriptions", float64(g.Value()), way)
		}
	})
	s.gauge("parley_connections_open", float64(r.Transport.Members()))
	s.counters("parley_sockets_refused_total", m.Refused)
}

func (r *Rooms) upstreams(s sink) {
	for name, c := range r.Upstreams {
		m := c.Meters()
		m.Took.Each(func(code string, h *tally.Histogram) {
			if code == "ok" || h.Shot().Count > 0 { // Many codes never come.
				s.histogram("parley_upstream_seconds", h, name, code)
			}
		})
		s.gauge("parley_upstream_running", float64(m.Running.Value()), name)
		s.counter("parley_upstream_retries_total", float64(m.Retries.Count()), name)
		s.gauge("parley_upstream_paused", truth(c.Paused()), name)
	}
}

func (r *Rooms) database(s sink) {
	m := r.Store.Meters()
	s.gauge("parley_database_up", truth(r.Up()))
	s.histograms("parley_database_seconds", m.Statements)
	s.counters("parley_database_errors_total", m.Errors)
	s.histograms("parley_database_turn_seconds", m.Turns)
	for class, n := range r.Store.Waiting() {
		s.gauge("parley_database_turns_waiting", float64(n), class)
	}
	for _, p := range r.Store.Connections() {
		s.gauge("parley_database_connections", float64(p.InUse), p.Name, "used")
		s.gauge("parley_database_connections", float64(p.Idle), p.Name, "idle")
		s.gauge("parley_database_connections_max", float64(p.Most), p.Name)
		s.counter("parley_database_waits_total", float64(p.Waits), p.Name)
		s.counter("parley_database_wait_seconds_total", p.Waited.Seconds(), p.Name)
	}
}
