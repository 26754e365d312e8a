package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"parley/internal/tally"
)

// Kind is what a series counts like.
type Kind string

// The kinds of series.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Series is one row of the table in docs/operations.md.
type Series struct {
	Name   string
	Kind   Kind
	Labels []string
	Help   string

	desc *prometheus.Desc
}

// All returns the series of the program, in the order of the documentation. Those of Go, of
// the process and parley_build_info come besides.
func All() []Series {
	all := make([]Series, 0, len(table))
	for _, s := range table {
		all = append(all, *series[s.Name])
	}
	return all
}

// series has the table by name.
var series = describe(table)

func describe(list []Series) map[string]*Series {
	byName := make(map[string]*Series, len(list))
	for _, s := range list {
		s.desc = prometheus.NewDesc(s.Name, s.Help, s.Labels, nil)
		byName[s.Name] = &s
	}
	return byName
}

var table = []Series{
	{Name: "parley_ready", Kind: Gauge, Help: "Whether /readyz says that requests should come here."},

	{Name: "parley_sends_total", Kind: Counter, Labels: []string{"result"},
		Help: "Messages sent: accepted, repeated (a known clientKey), or the code of the refusal."},
	{Name: "parley_sends_queued_total", Kind: Counter, Help: "Accepted sends whose reply waits for another one."},
	{Name: "parley_sends_waiting", Kind: Gauge, Help: "Callers that wait for the end of a reply (wait: true)."},

	{Name: "parley_replies_running", Kind: Gauge, Help: "Replies that are written here, or are about to be."},
	{Name: "parley_replies_total", Kind: Counter, Labels: []string{"status", "model"},
		Help: "Replies that have ended here."},
	{Name: "parley_reply_first_token_seconds", Kind: Histogram, Labels: []string{"model"},
		Help: "From the start of a reply to its first text."},
	{Name: "parley_reply_tokens_per_second", Kind: Histogram, Labels: []string{"model"},
		Help: "The speed of a completed reply from its first text on."},
	{Name: "parley_reply_tokens_total", Kind: Counter, Labels: []string{"kind", "model"},
		Help: "Tokens of prompts and completions, as the model server counted, or estimated."},
	{Name: "parley_asides_total", Kind: Counter, Labels: []string{"purpose", "result"},
		Help: "Calls of models for names and summaries: ok or failed; and those left out: busy, no_tokens."},
	{Name: "parley_takeovers_total", Kind: Counter, Labels: []string{"reason"},
		Help: "Replies taken over here: crashed, or released by a replica that shut down."},
	{Name: "parley_checkpoint_seconds", Kind: Histogram, Help: "Storing a batch of running replies' text."},
	{Name: "parley_lease_age_seconds", Kind: Gauge, Help: "Since this replica's lease was renewed."},
	{Name: "parley_lease_doubted", Kind: Gauge, Help: "1 while the lease may be over: no replies are taken."},
	{Name: "parley_peers", Kind: Gauge, Help: "Other replicas that are alive."},
	{Name: "parley_mirrors", Kind: Gauge, Help: "Replies of other replicas that are watched here."},

	{Name: "parley_operations_total", Kind: Counter, Labels: []string{"kind", "result"},
		Help: "Operations that have ended: ok, or the code of their first error. other: never understood."},
	{Name: "parley_operation_seconds", Kind: Histogram, Labels: []string{"way"},
		Help: "Queries and mutations, from the request to the answer."},
	{Name: "parley_subscriptions", Kind: Gauge, Labels: []string{"way"}, Help: "Subscriptions that go on."},
	{Name: "parley_connections_open", Kind: Gauge, Help: "WebSockets and streams that are open."},
	{Name: "parley_sockets_refused_total", Kind: Counter, Labels: []string{"reason"},
		Help: "WebSockets refused, or closed because of what their client did."},

	{Name: "parley_rate_limits_total", Kind: Counter, Labels: []string{"kind"},
		Help: "Refusals of what is too much at once, or too often."},
	{Name: "parley_quota_refusals_total", Kind: Counter, Labels: []string{"quota"}, Help: "QUOTA_EXCEEDED."},
	{Name: "parley_overload_refusals_total", Kind: Counter, Labels: []string{"reason"}, Help: "OVERLOADED."},

	{Name: "parley_upstream_seconds", Kind: Histogram, Labels: []string{"upstream", "code"},
		Help: "Calls of model servers to their end: ok, ended (by this side), or the code of the failure."},
	{Name: "parley_upstream_running", Kind: Gauge, Labels: []string{"upstream"}, Help: "Calls under way."},
	{Name: "parley_upstream_retries_total", Kind: Counter, Labels: []string{"upstream"}, Help: "Calls made again."},
	{Name: "parley_upstream_paused", Kind: Gauge, Labels: []string{"upstream"},
		Help: "1 while the breaker is open: calls fail at once."},

	{Name: "parley_database_up", Kind: Gauge, Help: "1 while the database answers."},
	{Name: "parley_database_seconds", Kind: Histogram, Labels: []string{"kind"},
		Help: "Statements: query, exec, begin, commit. Waits before them are not in it."},
	{Name: "parley_database_errors_total", Kind: Counter, Labels: []string{"kind"},
		Help: "Statements that failed: outage, try_again, given_up (the request ended), other."},
	{Name: "parley_database_connections", Kind: Gauge, Labels: []string{"pool", "state"},
		Help: "Connections: used, idle."},
	{Name: "parley_database_connections_max", Kind: Gauge, Labels: []string{"pool"}, Help: "How many there may be."},
	{Name: "parley_database_waits_total", Kind: Counter, Labels: []string{"pool"}, Help: "Waits for a connection."},
	{Name: "parley_database_wait_seconds_total", Kind: Counter, Labels: []string{"pool"}, Help: "How long those took."},
	{Name: "parley_database_turn_seconds", Kind: Histogram, Labels: []string{"class"},
		Help: "Waits of writers for their turn: urgent, checkpoint, ordinary."},
	{Name: "parley_database_turns_waiting", Kind: Gauge, Labels: []string{"class"}, Help: "Writers that wait."},

	{Name: "parley_bus_connected", Kind: Gauge, Help: "1 with a connection to NATS, and where none is configured."},
	{Name: "parley_bus_gaps_total", Kind: Counter, Labels: []string{"place"},
		Help: "Facts and pieces that were lost on the way. They are read from the database then."},
}

// sink takes the values of series.
type sink struct{ out chan<- prometheus.Metric }

func (s sink) counter(name string, v float64, labels ...string) {
	s.out <- prometheus.MustNewConstMetric(series[name].desc, prometheus.CounterValue, v, labels...)
}

func (s sink) gauge(name string, v float64, labels ...string) {
	s.out <- prometheus.MustNewConstMetric(series[name].desc, prometheus.GaugeValue, v, labels...)
}

func (s sink) histogram(name string, h *tally.Histogram, labels ...string) {
	shot := h.Shot()
	s.out <- prometheus.MustNewConstHistogram(series[name].desc, shot.Count, shot.Sum, shot.Buckets, labels...)
}

// counters gives each of a set, its name behind the labels.
func (s sink) counters(name string, set *tally.Counters, labels ...string) {
	set.Each(func(member string, c *tally.Counter) {
		s.counter(name, float64(c.Count()), append(labels[:len(labels):len(labels)], member)...)
	})
}

func (s sink) histograms(name string, set *tally.Set[tally.Histogram], labels ...string) {
	set.Each(func(member string, h *tally.Histogram) {
		if member == tally.Other && h.Shot().Count == 0 {
			return
		}
		s.histogram(name, h, append(labels[:len(labels):len(labels)], member)...)
	})
}
