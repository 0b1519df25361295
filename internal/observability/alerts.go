package observability

import "github.com/prometheus/client_golang/prometheus"

// AlertsDeps are what an [Alerts] reads; all are required.
type AlertsDeps struct {
	// Firing is how many alerts fire, by severity, those that none has included.
	Firing func() map[string]int
	// Sent calls back with how many notifications ended in each way, by the kind of their channel.
	Sent func(each func(channelKind, result string, n int64))
}

// Alerts collects what alerts say about themselves, when it is asked.
type Alerts struct {
	deps         AlertsDeps
	firing, sent *prometheus.Desc
}

// NewAlerts makes a collector.
func NewAlerts(deps AlertsDeps) *Alerts {
	return &Alerts{
		deps:   deps,
		firing: prometheus.NewDesc("switchgear_alerts_firing", "Alerts that fire, by severity.", []string{"severity"}, nil),
		sent: prometheus.NewDesc("switchgear_alert_notifications_total",
			"Attempts to send a notification, by how they ended: delivered, retry, dead, suppressed, zombie (it ended after its lease was lost).",
			[]string{"channel_kind", "result"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (a *Alerts) Describe(out chan<- *prometheus.Desc) {
	out <- a.firing
	out <- a.sent
}

// Collect implements prometheus.Collector.
func (a *Alerts) Collect(out chan<- prometheus.Metric) {
	for severity, n := range a.deps.Firing() {
		out <- prometheus.MustNewConstMetric(a.firing, prometheus.GaugeValue, float64(n), severity)
	}
	a.deps.Sent(func(kind, result string, n int64) {
		out <- prometheus.MustNewConstMetric(a.sent, prometheus.CounterValue, float64(n), kind, result)
	})
}
