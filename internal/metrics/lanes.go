package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/outcrop-dev/outcrop/internal/routing"
)

// lanes collects the state of every way that was ever considered.
type lanes struct{ health *routing.Health }

var laneLabels = []string{"account", "region", "id"}

var (
	breakerDesc = prometheus.NewDesc("outcrop_lane_breaker", "0: calls pass; 1: one passes as a probe; 2: none passes.", laneLabels, nil)
	quotaDesc   = prometheus.NewDesc("outcrop_lane_quota", "A quota, as configured or learnt from refusals; none where it is not known.", append(laneLabels, "quota"), nil)
	failedDesc  = prometheus.NewDesc("outcrop_failovers_total", "Attempts that were left for one in another Region or account.", append(laneLabels, "reason"), nil)
	brokenDesc  = prometheus.NewDesc("outcrop_broken_answers_total", "Answers that failed after their first content, when nobody else is asked.", laneLabels, nil)
	leftDesc    = prometheus.NewDesc("outcrop_lane_quota_left", "What of a quota may be used now; below zero where more was.", append(laneLabels, "quota"), nil)
)

func (*lanes) Describe(ch chan<- *prometheus.Desc) {
	ch <- breakerDesc
	ch <- quotaDesc
	ch <- leftDesc
	ch <- failedDesc
	ch <- brokenDesc
}

func (l *lanes) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, n int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	for _, s := range l.health.Lanes() {
		counter(brokenDesc, s.Broken, s.Account, s.Region, s.ID)
		for reason, n := range s.Failovers {
			counter(failedDesc, n, s.Account, s.Region, s.ID, reason)
		}
		state := 0.0
		switch s.State {
		case routing.HalfOpen:
			state = 1
		case routing.Open:
			state = 2
		default: // closed
		}
		gauge(breakerDesc, state, s.Account, s.Region, s.ID)
		for _, q := range []struct {
			name        string
			limit, left int64
		}{{"requests_per_minute", s.Quota.RPM, s.Left.RPM}, {"tokens_per_minute", s.Quota.TPM, s.Left.TPM}, {"tokens_per_day", s.Quota.TPD, s.Left.TPD}} {
			if q.limit > 0 {
				gauge(quotaDesc, float64(q.limit), s.Account, s.Region, s.ID, q.name)
				gauge(leftDesc, float64(q.left), s.Account, s.Region, s.ID, q.name)
			}
		}
	}
}
