package outbox

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"noteworks.dev/services/internal/event"
	"noteworks.dev/services/internal/telemetry"
)

// takesNothing is for how long a stream that is there may take nothing, and not say why, before it is made anew. A disk that was full once leaves a
// server of NATS like that for ever: it neither stores nor acknowledges, and calls itself healthy.
const takesNothing = 20 * time.Second

// stuck is since when the stream's end has not moved although the relay publishes.
type stuck struct {
	last  uint64
	since time.Time
}

// at takes note of the stream's end.
func (s *stuck) at(last uint64) {
	if last != s.last {
		*s = stuck{last: last}
	}
}

// after takes the failure of a chain and says why the stream has to be made anew, "" if it has not. A stream that refuses with a reason, a full one for
// example, is left as it is, and so is one that cannot be asked.
func (s *stuck) after(err error, now time.Time) string {
	switch {
	case errors.Is(err, event.ErrBeyondCorrection):
		*s = stuck{}
		return "it cannot be corrected"
	case !errors.Is(err, event.ErrFenced) && !errors.Is(err, event.ErrUnanswered):
		s.since = time.Time{}
	case s.since.IsZero():
		s.since = now
	case now.Sub(s.since) > takesNothing:
		*s = stuck{}
		return "it takes nothing and does not say why"
	}
	return ""
}

// remake makes the stream anew, to be filled again: it holds nothing that the outbox has not. A failure shows when the relay goes on.
func (r *relay) remake(ctx context.Context, why string) {
	r.log.WarnContext(ctx, "making the stream anew", slog.String("reason", why))
	r.meter.rebuilt.Add(ctx, 1, r.meter.attrs)
	if err := r.bus.Remake(ctx, r.cfg.Stream); err != nil {
		r.log.WarnContext(ctx, "stream not made anew", telemetry.Err(err))
		return
	}
	r.acked.store(event.Cursor{})
}
