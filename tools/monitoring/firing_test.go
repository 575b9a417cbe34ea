package monitoring

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/storage"
)

// stack stands for the labels that every series has.
const stack = `namespace="team",stack="noteworks"`

// minutes of samples that each case has, one a minute in the form of Prometheus's tests: "0x5 1x25" is six 0 and then twenty-six 1.
const minutes = 30

// A scene is what Prometheus would have collected. S stands for namespace and stack.
type scene struct {
	fires, calm string
}

func scenes() map[string]scene {
	const healthy = `
		noteworks_ready{S,job="gateway",pod="g"} 1x30
		noteworks_ready{S,job="note",pod="n"} 1x30
		noteworks_ready{S,job="user",pod="u"} 1x30`
	return map[string]scene{
		"NoteworksServiceAway": {
			fires: `
				noteworks_ready{S,job="gateway",pod="g"} 1x30
				noteworks_ready{S,job="note",pod="n"} 1x20 0x9
				noteworks_ready{S,job="user",pod="u"} 1x30`,
			calm: healthy + `
				noteworks_ready{S,job="note",pod="n2"} 0x30`,
		},
		"NoteworksReplicaNotReady": {fires: `noteworks_ready{S,job="note",pod="n"} 1x20 0x9`, calm: `noteworks_ready{S,job="note",pod="n"} 1x26 0x3`},
		"NoteworksRequestsFail": {
			fires: `
				http_server_request_duration_seconds_count{S,job="note",http_response_status_code="200"} 0+100x30
				http_server_request_duration_seconds_count{S,job="note",http_response_status_code="503"} 0+10x30`,
			calm: `
				http_server_request_duration_seconds_count{S,job="note",http_response_status_code="404"} 0+100x30
				http_server_request_duration_seconds_count{S,job="note",http_response_status_code="503"} 0+1x30`,
		},
		"NoteworksRequestsSlow": {
			fires: buckets("0+90x30", "0+100x30"),
			calm:  buckets("0+100x30", "0+100x30"),
		},
		"NoteworksRequestsShed": {
			fires: `
				http_server_request_duration_seconds_count{S,job="gateway",http_response_status_code="200"} 0+100x30
				http_server_request_duration_seconds_count{S,job="gateway",http_response_status_code="503"} 0+2x30`,
			calm: `
				http_server_request_duration_seconds_count{S,job="gateway",http_response_status_code="200"} 0+100x30
				http_server_request_duration_seconds_count{S,job="gateway",http_response_status_code="503"} 0x20 60x9`, // a moment
		},
		"NoteworksWorkspaceLimited": {
			fires: `noteworks_requests_limited_total{S,job="gateway",pod="g"} 0+120x30`,
			calm:  `noteworks_requests_limited_total{S,job="gateway",pod="g"} 0+20x30`,
		},
		"NoteworksBreakerOpen": {
			fires: `noteworks_breaker_state{S,job="gateway",pod="g",upstream="note"} 0x20 2 1 2 1 2 1 2 1 2 1`,
			calm:  `noteworks_breaker_state{S,job="gateway",pod="g",upstream="note"} 0x20 2 0x8`,
		},
		"NoteworksDatabasePoolExhausted": {
			fires: pool("16x30", "0+60x30"),
			calm:  pool("4x30", "0+60x30"), // clients that left, too, are counted as given up
		},
		"NoteworksOutboxStuck": {
			fires: `outbox_oldest_unpublished_seconds{S,job="note",pod="n",stream="note"} 0x20 60+60x9`,
			calm:  `outbox_oldest_unpublished_seconds{S,job="note",pod="n",stream="note"} 0x26 20 40 0 0`,
		},
		"NoteworksOutboxWithoutRelay": {
			fires: `relay_leader{S,job="note",pod="n",stream="note"} 1x20 0x9`,
			calm: `
				relay_leader{S,job="note",pod="n",stream="note"} 1x20 0x9
				relay_leader{S,job="note",pod="n2",stream="note"} 0x21 1x8`,
		},
		"NoteworksRelayRestarts": {
			fires: `outbox_relay_failures_total{S,job="note",pod="n",stream="note"} 0+1x30`,
			calm:  `outbox_relay_failures_total{S,job="note",pod="n",stream="note"} 0x20 1x9`,
		},
		"NoteworksStreamRebuilt": {
			fires: `outbox_stream_rebuilt_total{S,job="note",pod="n",stream="note"} 0x25 1x4`,
			calm:  `outbox_stream_rebuilt_total{S,job="note",pod="n",stream="note"} 1x30`,
		},
		"NoteworksEventsParked": {
			fires: `inbox_parked_total{S,job="note",pod="n",consumer="note-search",event_type="note.v1.NoteChanged"} 0x25 1x4`,
			calm:  `inbox_parked_total{S,job="note",pod="n",consumer="note-search",event_type="note.v1.NoteChanged"} 0x30`,
		},
		"NoteworksDeadLettersLeft": {
			fires: `inbox_dead_letters{S,job="note",pod="n",consumer="note-search"} 3x30`,
			calm:  `inbox_dead_letters{S,job="note",pod="n",consumer="note-search"} 0x10 3x19`,
		},
		"NoteworksConsumerLags": {
			fires: `inbox_pending{S,job="note",pod="n",consumer="note-search"} 0x20 2000x9`,
			calm:  `inbox_pending{S,job="note",pod="n",consumer="note-search"} 0x26 2000x3`,
		},
		"NoteworksConsumerStuck": {
			fires: consumer("0x10 5x19", "7x30"),
			calm:  consumer("5x30", "0+7x30"), // always some before it, and always on the way
		},
		"NoteworksWithoutNATS": {fires: `nats_connected{S,job="note",pod="n",client="note"} 1x20 0x9`, calm: `nats_connected{S,job="note",pod="n",client="note"} 1x26 0 1 1 1`},
		"NoteworksLiveDegraded": {
			fires: `noteworks_live_degraded{S,job="gateway",pod="g"} 0x20 1x9`,
			calm:  `noteworks_live_degraded{S,job="gateway",pod="g"} 0x20 1 0x8`,
		},
		"NoteworksLiveClientsCut": {
			fires: live("0+4x30", "100x30"),
			calm:  live("0+1x30", "1000x30"),
		},
		"NoteworksLiveGaps": {
			fires: `noteworks_live_events_gaps_total{S,job="gateway",pod="g"} 0+1x30`,
			calm:  `noteworks_live_events_gaps_total{S,job="gateway",pod="g"} 0x20 1x9`,
		},
		"NoteworksReconcileFails": {
			fires: `controller_runtime_reconcile_errors_total{S,job="noteworks-operator",pod="o",controller="noteworkspace"} 0+2x30`,
			calm:  `controller_runtime_reconcile_errors_total{S,job="noteworks-operator",pod="o",controller="noteworkspace"} 0x20 5x9`,
		},
		"NoteworksWorkspacesNotReady": {
			fires: `noteworks_operator_workspaces{S,job="noteworks-operator",pod="o",isolation="Shared",ready="Unknown",reason="New"} 1x30`,
			calm: `
				noteworks_operator_workspaces{S,job="noteworks-operator",pod="o",isolation="Shared",ready="Unknown",reason="New"} 1 0x29
				noteworks_operator_workspaces{S,job="noteworks-operator",pod="o",isolation="Shared",ready="False",reason="HostTaken"} 0x20 1x5 0x4
				noteworks_operator_workspaces{S,job="noteworks-operator",pod="o",isolation="Shared",ready="False",reason="Suspended"} 3x30`,
		},
		"NoteworksSpansRefused": {
			fires: `otelcol_receiver_refused_spans_total{S,job="jaeger",pod="j",receiver="otlp",transport="http"} 0+50x30`,
			calm:  `otelcol_receiver_refused_spans_total{S,job="jaeger",pod="j",receiver="otlp",transport="http"} 0x25 50x4`,
		},
	}
}

// buckets is a histogram of the gateway: so many within a second, and so many at all. A live socket that was open for an hour is part of it.
func buckets(within, all string) string {
	const name = `http_server_request_duration_seconds_bucket{S,job="gateway",http_response_status_code="200",le=`
	return name + `"0.1"} 0x30` + "\n" + name + `"1"} ` + within + "\n" + name + `"10"} ` + all + "\n" + name + `"+Inf"} ` + all + `
		http_server_request_duration_seconds_bucket{S,job="gateway",http_response_status_code="101",le="10"} 0x30
		http_server_request_duration_seconds_bucket{S,job="gateway",http_response_status_code="101",le="+Inf"} 0+500x30`
}

func pool(used, givenUp string) string {
	const of = `{S,job="note",pod="n",db_client_connection_pool_name="notes",db_system_name="postgresql"} `
	return "pgxpool_acquired_connections" + of + used + "\npgxpool_max_connections" + of + "16x30\npgxpool_canceled_acquires_total" + of + givenUp
}

func consumer(pending, processed string) string {
	return `inbox_pending{S,job="note",pod="n",consumer="note-search"} ` + pending + `
		inbox_processed_total{S,job="note",pod="n",consumer="note-search",event_type="note.v1.NoteChanged"} ` + processed + `
		inbox_duplicates_total{S,job="note",pod="n",consumer="note-search",event_type="note.v1.NoteChanged"} 0x30`
}

func live(cut, sockets string) string {
	return `noteworks_live_cut_total{S,job="gateway",pod="g"} ` + cut + "\nnoteworks_live_sockets{S,job=\"gateway\",pod=\"g\"} " + sockets
}

func TestEachAlertFiresWhenItShouldAndOnlyThen(t *testing.T) {
	t.Parallel()
	all, told := alerts(t), scenes()
	for name := range told {
		if _, ok := all[name]; !ok {
			t.Errorf("there is no alert %s", name)
		}
	}
	for name, rule := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ok := told[name]
			if !ok {
				t.Fatal("it has no scene")
			}
			if !holds(t, rule.Expr, forOf(rule), s.fires) {
				t.Error("it stays silent where it should fire")
			}
			if holds(t, rule.Expr, forOf(rule), s.calm) {
				t.Error("it fires where all is well")
			}
			elsewhere := strings.ReplaceAll(s.fires, "S,", `namespace="team",stack="other",`)
			if name != "NoteworksServiceAway" && holds(t, rule.Expr, forOf(rule), elsewhere) { // that one misses what is not there
				t.Error("it fires for another stack")
			}
		})
	}
}

// Without any series, only what is absent may be missed.
func TestNothingToCollectIsAServiceAway(t *testing.T) {
	t.Parallel()
	for name, rule := range alerts(t) {
		if fires := holds(t, rule.Expr, forOf(rule), `up{S} 1x30`); fires != (name == "NoteworksServiceAway") {
			t.Errorf("%s fires: %v", name, fires)
		}
	}
}

// holds reports whether query has had an answer all through the last period of samples.
func holds(t *testing.T, query string, period time.Duration, samples string) bool {
	t.Helper()
	db := promqltest.LoadedStorage(t, "load 1m\n"+lines(samples))
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	for at := minutes*time.Minute - period; at <= minutes*time.Minute; at += 15 * time.Second {
		if !answers(t, engine, db, query, time.Unix(0, 0).Add(at)) {
			return false
		}
	}
	return true
}

func answers(t *testing.T, engine *promql.Engine, db storage.Queryable, query string, at time.Time) bool {
	t.Helper()
	q, err := engine.NewInstantQuery(context.Background(), db, nil, query, at)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	vector, err := q.Exec(context.Background()).Vector()
	if err != nil {
		t.Fatal(err)
	}
	return len(vector) > 0
}

func lines(samples string) string {
	var b strings.Builder
	for l := range strings.Lines(samples) {
		if l = strings.TrimSpace(l); l != "" {
			b.WriteString("  " + strings.ReplaceAll(l, "{S", "{"+stack) + "\n")
		}
	}
	return b.String()
}
