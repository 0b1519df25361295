package observability

import "github.com/prometheus/client_golang/prometheus"

// callLog is what the metrics say of the call log; *calls.Log is one.
type callLog interface {
	Dropped() int64
	DroppedBodies() int64
	Queue() (waiting, capacity int)
}

// NewCallLog makes collectors of how the call log keeps up.
func NewCallLog(log callLog) []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "switchgear_call_log_dropped_total", Help: "Calls that are missing in the call log, because they came faster than the disk takes them or storing failed.",
		}, func() float64 { return float64(log.Dropped()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "switchgear_call_log_dropped_bodies_total", Help: "Calls that were logged without their bodies, because bodies came too fast.",
		}, func() float64 { return float64(log.DroppedBodies()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "switchgear_call_log_queue_length", Help: "Calls that wait to be stored in the call log.",
		}, func() float64 { waiting, _ := log.Queue(); return float64(waiting) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "switchgear_call_log_queue_capacity", Help: "Calls that may wait to be stored; beyond it they are dropped.",
		}, func() float64 { _, capacity := log.Queue(); return float64(capacity) }),
	}
}
