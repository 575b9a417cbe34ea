package main

import "time"

// alerting says what a fault is to the alerts.
type alerting struct {
	// lasts is how long the fault has to last for them: each waits for its condition to hold, and for what it looks back on.
	lasts time.Duration
	// fire are the alerts that belong to the fault: they fire while it lasts, and are silent again after it.
	fire []string
	// may are alerts that the fault has as further consequences, depending on the moment. Any other one has no business there.
	may []string
}

// alertings are the faults that alerts belong to. tools/monitoring finds them in the recordings; docs/faults.md says why the other alerts are in none.
func alertings() map[string]alerting {
	return map[string]alerting{
		"NATS down":                           {150 * time.Second, []string{"NoteworksWithoutNATS", "NoteworksOutboxStuck", "NoteworksLiveDegraded"}, nil},
		"a stream deleted":                    {20 * time.Second, []string{"NoteworksStreamRebuilt"}, nil},
		"an event that nobody can read":       {20 * time.Second, []string{"NoteworksEventsParked"}, nil},
		"the user service down":               {100 * time.Second, []string{"NoteworksServiceAway"}, nil},
		"silence between gateway and note":    {165 * time.Second, []string{"NoteworksBreakerOpen"}, nil},
		"connections reset at random":         {120 * time.Second, []string{"NoteworksRelayRestarts"}, nil},
		"a consumer slower than the producer": {8 * time.Minute, []string{"NoteworksRelayRestarts", "NoteworksConsumerLags"}, []string{"NoteworksOutboxStuck"}},
		"2 s between gateway and note":        {12 * time.Minute, []string{"NoteworksRequestsSlow"}, nil},
		"a note's row locked":                 {12 * time.Minute, []string{"NoteworksRequestsShed"}, []string{"NoteworksRequestsFail"}},
		"PostgreSQL stopped":                  {330 * time.Second, []string{"NoteworksServiceAway", "NoteworksReplicaNotReady", "NoteworksRequestsFail"}, nil},
	}
}
