package controller

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"noteworks.dev/operator/api/v1alpha1"
)

// Metrics counts the workspaces of a cache by how they are, when it is asked.
type Metrics struct {
	workspaces client.Reader
	described  *prometheus.Desc
}

// NewMetrics reads from workspaces, which should be a cache.
func NewMetrics(workspaces client.Reader) *Metrics {
	return &Metrics{workspaces: workspaces, described: prometheus.NewDesc(
		"noteworks_operator_workspaces", "NoteWorkspaces by isolation and by their condition Ready.", []string{"isolation", "ready", "reason"}, nil)}
}

// Describe is a prometheus.Collector's.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) { to <- m.described }

// Collect is a prometheus.Collector's.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var all v1alpha1.NoteWorkspaceList
	if err := m.workspaces.List(ctx, &all, client.UnsafeDisableDeepCopy); err != nil {
		to <- prometheus.NewInvalidMetric(m.described, err)
		return
	}
	type kind struct{ isolation, ready, reason string }
	count := map[kind]int{}
	for i := range all.Items {
		k := kind{string(all.Items[i].Spec.Isolation), "Unknown", "New"}
		if c := meta.FindStatusCondition(all.Items[i].Status.Conditions, v1alpha1.ConditionReady); c != nil {
			k.ready, k.reason = string(c.Status), c.Reason
		}
		count[k]++
	}
	for k, n := range count {
		to <- prometheus.MustNewConstMetric(m.described, prometheus.GaugeValue, float64(n), k.isolation, k.ready, k.reason)
	}
}
