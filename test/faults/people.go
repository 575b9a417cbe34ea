package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	workspacev1 "noteworks.dev/services/api/gen/workspace/v1"
	"noteworks.dev/test/client"
)

// peopleFaults are of people who take what is not theirs alone: other people's processor, memory and sockets.
func peopleFaults() []scenario {
	return []scenario{
		{
			name: "a workspace that asks for too much", row: "a workspace that sends more than its policy allows, for long: nobody else notices",
			lasts: 20 * time.Second, breaks: limitNeighbours, during: askTooMuch, holds: writesWentOn,
		},
		{
			name: "browsers that do not read", row: "a live client that stops reading, forty of them",
			lasts: 40 * time.Second, breaks: nothing, during: readNothing, holds: writesWentOn,
		},
	}
}

const (
	// neighbours are a workspace of their own, which may send so many requests in a minute to each gateway.
	neighbours          = "neighbours"
	neighboursPerMinute = 60
	// neighboursAskEvery is far more often.
	neighboursAskEvery = 100 * time.Millisecond
)

func limitNeighbours(ctx context.Context, r *round) error {
	_, err := r.Workspaces().ApplyWorkspace(ctx, connect.NewRequest(&workspacev1.ApplyWorkspaceRequest{
		WorkspaceId: uuid.NewSHA1(uuid.NameSpaceDNS, []byte(neighbours)).String(), Slug: neighbours,
		Owner:  &workspacev1.Owner{Email: "owner@example.com", Name: "Owner", InitialPassword: strings.Repeat("long enough ", 2)},
		Policy: &workspacev1.Policy{Limits: &workspacev1.Limits{RequestsPerMinute: neighboursPerMinute}},
	}))
	return err
}

// askTooMuch has somebody ask all the while for more than the workspace may.
func askTooMuch(ctx context.Context, r *round) error {
	somebody := client.New(r.WorkspaceURL(neighbours), nil)
	let, refused, untold := 0, 0, 0
	began := time.Now()
	for tick := time.NewTicker(neighboursAskEvery); time.Since(began) < r.lasts(); {
		header, err := somebody.Do(ctx, http.MethodGet, "/api/v1/notes", nil, nil, nil)
		switch client.StatusOf(err) {
		case http.StatusUnauthorized: // whoever has no token is told so by who is asked
			let++
		case http.StatusTooManyRequests:
			refused++
			if header.Get("Retry-After") == "" {
				untold++
			}
		default:
			return fmt.Errorf("a request was answered %w", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	const burst = 30
	most := len(r.Names("gateway")) * (burst + 1 + int(time.Since(began).Minutes()*neighboursPerMinute))
	r.check(let <= most && refused > 0 && untold == 0, "%d of %d requests were told 429 and when to come back", refused, let+refused)
	return nil
}

const (
	deafSockets = 40
	// deafText, in bytes, is written again and again to a note that all of them see: 2 MB wait for each within seconds.
	deafText, deafEvery = 60_000, 100 * time.Millisecond
	// cutWithin is how long a socket that is not read may stay.
	cutWithin = 30 * time.Second
)

// readNothing opens sockets and reads none of them while a note of theirs changes.
func readNothing(ctx context.Context, r *round) error {
	const cut = "noteworks_live_cut_total"
	before := r.measure(ctx)
	was, err := r.total(ctx, "gateway", cut)
	if err != nil {
		return err
	}
	n, err := r.crew.Ann.Create(ctx, "Long", "long")
	if err != nil {
		return err
	}
	for range deafSockets {
		live, err := r.crew.Ann.Watch(ctx, "")
		if err != nil {
			return err
		}
		defer live.Close()
	}
	began := time.Now()
	for i := 0; time.Since(began) < cutWithin; i++ {
		changed, err := r.crew.Ann.Change(ctx, n.ID, n.Version, fmt.Sprint(i, strings.Repeat(" long", deafText/len(" long"))))
		switch {
		case err == nil:
			n = changed
		case client.StatusOf(err) != http.StatusServiceUnavailable: // which may be, now and then
			return err
		}
		if i%10 != 0 {
			wait(ctx, deafEvery)
			continue
		}
		now, err := r.total(ctx, "gateway", cut)
		if err != nil {
			return err
		}
		if now-was >= deafSockets {
			r.check(true, "%d sockets were cut within %v", deafSockets, time.Since(began).Round(100*time.Millisecond))
			grown := r.grown(ctx, before)
			r.check(grown < 64<<20, "memory grew by %.0f MB at most", grown/(1<<20))
			return nil
		}
	}
	return fmt.Errorf("not all of %d sockets that are not read were cut within %v", deafSockets, cutWithin)
}
