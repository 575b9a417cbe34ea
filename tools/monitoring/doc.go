// Package monitoring holds the charts' alerts and dashboard against what they stand on: Prometheus's own parser and engine, and the inventory
// of metrics in docs/metrics.md, which a test of the services holds against the running programs. It has nothing but tests, in a module of its
// own because Prometheus brings much with it.
package monitoring
