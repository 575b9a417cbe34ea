// Package measure is what every workload of the load suite counts with: latencies from the intended time, schedules that do not wait for answers,
// what happened to each version of a note, and what processes have used.
// Imports HdrHistogram and the standard library. Knows nothing of Noteworks, so that the peers are measured with the very same code.
package measure
