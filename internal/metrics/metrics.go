// Package metrics counts calls for Prometheus. It sees a call's record when the
// call is over, and what routing knows of each lane when it is asked.
//
// Invariant: a label's values are bounded by the catalog, the operations and the
// configuration, never by what a client sends.
//
// Not a goal: money or a caller's share; the activity log has every call.
package metrics

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/outcrop-dev/outcrop/internal/activity"
	"github.com/outcrop-dev/outcrop/internal/routing"
)

// Metrics is an activity.Log, and serves what it has counted.
type Metrics struct {
	handler  http.Handler
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	tokens   *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	first    *prometheus.HistogramVec
	perToken *prometheus.HistogramVec
}

// Seconds: of an answer, and of one token of it.
var (
	callBuckets  = []float64{.005, .02, .05, .1, .25, .5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600}
	tokenBuckets = []float64{.001, .0025, .005, .01, .015, .02, .03, .05, .1, .25, 1}
)

// New counts from zero. health may be nil: there is one way, and it is not watched.
func New(health *routing.Health) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	m := &Metrics{
		calls:    counter("outcrop_calls_total", "Calls that are over, denied and failed ones included.", "operation", "model", "status", "error"),
		tokens:   counter("outcrop_tokens_total", "Tokens as the upstream counted them.", "model", "class"),
		bytes:    counter("outcrop_bytes_total", "Bytes of requests (in) and of answers' events (out).", "direction"),
		duration: histogram("outcrop_call_seconds", "From the request to the end of the answer.", callBuckets, "operation"),
		first:    histogram("outcrop_first_frame_seconds", "From the request to the first frame of the answer.", callBuckets, "operation", "model"),
		perToken: histogram("outcrop_output_token_seconds", "From the first frame to the end, over the tokens of the answer: a call's mean.", tokenBuckets, "model"),
	}
	r := prometheus.NewRegistry()
	r.MustRegister(m.calls, m.tokens, m.bytes, m.duration, m.first, m.perToken,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if health != nil {
		r.MustRegister(&lanes{health: health})
	}
	m.handler, m.registry = promhttp.HandlerFor(r, promhttp.HandlerOpts{}), r
	return m
}

// Gauge adds a figure that is asked for at each scrape. Its name is new.
func (m *Metrics) Gauge(name, help string, figure func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, figure))
}

func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.handler.ServeHTTP(w, r) }

// Record implements activity.Log.
func (m *Metrics) Record(r activity.Record) {
	m.calls.WithLabelValues(r.Operation, r.ModelID, strconv.Itoa(r.Status), r.ErrorCode).Inc()
	m.bytes.WithLabelValues("in").Add(float64(max(r.InputBytes, 0)))
	m.bytes.WithLabelValues("out").Add(float64(max(r.OutputBytes, 0)))
	m.duration.WithLabelValues(r.Operation).Observe(r.Duration.Seconds())
	for _, c := range []struct {
		class string
		n     int64
	}{{"input", r.Usage.InputTokens}, {"output", r.Usage.OutputTokens}, {"cache_read", r.Usage.CacheReadInputTokens}, {"cache_write", r.Usage.CacheCreationInputTokens}} {
		if c.n > 0 {
			m.tokens.WithLabelValues(r.ModelID, c.class).Add(float64(c.n))
		}
	}
	if r.FirstFrame <= 0 {
		return
	}
	m.first.WithLabelValues(r.Operation, r.ModelID).Observe(r.FirstFrame.Seconds())
	if rest := r.Duration - r.FirstFrame; rest > 0 && r.Usage.OutputTokens > 1 && r.ErrorCode == "" {
		m.perToken.WithLabelValues(r.ModelID).Observe(rest.Seconds() / float64(r.Usage.OutputTokens))
	}
}
