// Package metrics shows what the rooms have counted in the form of Prometheus. It owns the
// names of the series and their labels; the rooms know nothing of it, and nothing here is on
// the way of a request: numbers are taken when somebody asks for them.
//
// Its one invariant: a label has a word of this program or of its configuration, never one
// of a client, so that the number of series has a bound.
package metrics

import (
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the series of one process. They are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	rooms    atomic.Pointer[Rooms]
	ready    func() bool
}

// New returns metrics that have the process and Go, and the rest once Show has been called.
// ready says whether the server takes requests.
func New(version string, ready func() bool) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), ready: ready}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "parley_build_info",
		Help: "1, with the version of the program.", ConstLabels: prometheus.Labels{"version": version}})
	build.Set(1)
	m.registry.MustRegister(build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m)
	return m
}

// Show has the series of these rooms shown from now on.
func (m *Metrics) Show(r *Rooms) { m.rooms.Store(r) }

// Handler answers the requests of Prometheus.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}

// maxScrapes is how many may ask at once. Few do.
const maxScrapes = 4

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) {
	for _, s := range series {
		out <- s.desc
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	ready := 0.0
	if m.ready() {
		ready = 1
	}
	s := sink{out}
	s.gauge("parley_ready", ready)
	if r := m.rooms.Load(); r != nil {
		r.collect(s)
	}
}
