package pg_test

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"noteworks.dev/services/internal/config"
	"noteworks.dev/services/internal/pg"
	"noteworks.dev/services/internal/pgtest"
	"noteworks.dev/services/internal/spantest"
	"noteworks.dev/services/internal/telemetry"
)

func secret(s string) config.Secret { return config.Secret(s) }

// logs is a writer that many goroutines may use.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func reporting(t *testing.T, w *pgtest.World) (*pg.DB, *telemetry.Telemetry, *spantest.Recorder, *logs) {
	t.Helper()
	spans, out := spantest.New(), &logs{}
	tel, err := telemetry.New(t.Context(), "test", config.Map(nil), out, telemetry.WithSpanProcessor(spans))
	if err != nil {
		t.Fatal(err)
	}
	cfg := w.Config
	cfg.SlowQuery = time.Nanosecond // every statement is slow
	db := w.Open(t, cfg, tel)
	t.Cleanup(db.Close)
	return db, tel, spans, out
}

const private = "what somebody wrote"

func TestSpansAndLogsNameStatementsWithoutTheirValues(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	db, tel, spans, out := reporting(t, w)
	ctx, span := tel.Tracer().Start(t.Context(), "request")
	err := db.InWorkspace(ctx, here, func(tx *gorm.DB) error {
		if err := add(here, private)(tx); err != nil {
			return err
		}
		return tx.Take(&thing{}, "name = ?", private).Error
	})
	span.End()
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, s := range spans.Spans() {
		seen = append(seen, s.Name())
		for _, a := range s.Attributes() {
			if strings.Contains(a.Value.String(), private) {
				t.Errorf("span %q holds a value in %s", s.Name(), a.Key)
			}
		}
		if s.SpanContext().TraceID() != span.SpanContext().TraceID() {
			t.Errorf("span %q is in another trace", s.Name())
		}
	}
	if got, want := strings.Join(seen, ", "), "BEGIN, INSERT things, SELECT things, COMMIT, request"; got != want {
		t.Errorf("spans %s, want %s", got, want)
	}
	text := out.String()
	if !strings.Contains(text, "slow query") || !strings.Contains(text, span.SpanContext().TraceID().String()) {
		t.Errorf("the log lacks the slow statement or its trace: %s", text)
	}
	if strings.Contains(text, private) {
		t.Errorf("the log holds a value: %s", text)
	}
}

func TestThePoolIsMeasured(t *testing.T) {
	t.Parallel()
	w := pgtest.New(t, schema())
	db, tel, _, _ := reporting(t, w)
	if err := db.Tx(t.Context(), nothing); err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	for _, metric := range []string{"pgxpool_acquired_conn", "pgxpool_max_conn", "pgxpool_empty_acquire", "db_client_operation_duration"} {
		if !strings.Contains(answer.Body.String(), metric) {
			t.Errorf("no metric %s", metric)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	const good = "postgres://app:pw@host/notes"
	cases := map[string]struct {
		env  map[string]string
		want string
	}{
		"missing":    {map[string]string{}, "DATABASE_URL is not set"},
		"empty":      {map[string]string{"DATABASE_URL": ""}, "DATABASE_URL is empty"},
		"not a URL":  {map[string]string{"DATABASE_URL": "postgres://app:hunter2@[host/x"}, "DATABASE_URL is not a PostgreSQL URL"},
		"not either": {map[string]string{"DATABASE_URL": good, "MIGRATE_DATABASE_URL": "%"}, "MIGRATE_DATABASE_URL is not a PostgreSQL URL"},
		"too few":    {map[string]string{"DATABASE_URL": good, "DATABASE_MAX_CONNS": "1"}, "DATABASE_MAX_CONNS is too small"},
		"wrong type": {map[string]string{"DATABASE_URL": good, "DATABASE_LOCK_TIMEOUT": "soon"}, "DATABASE_LOCK_TIMEOUT has a value"},
		"good":       {map[string]string{"DATABASE_URL": good}, ""},
	}
	for name, c := range cases {
		_, err := config.Load[pg.Config](config.Map(c.env))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2")):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
