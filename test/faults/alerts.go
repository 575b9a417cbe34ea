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
	// leisurely has people work less for as long.
	leisurely bool
}

// alertings are the faults that alerts belong to. tools/monitoring finds them in the recordings; docs/faults.md says why the other alerts are in none.
func alertings() map[string]alerting {
	return map[string]alerting{
		"NATS down":                             {150 * time.Second, []string{"NoteworksWithoutNATS", "NoteworksOutboxStuck", "NoteworksLiveDegraded"}, nil, false},
		"a stream deleted":                      {20 * time.Second, []string{"NoteworksStreamRebuilt"}, nil, false},
		"an event that nobody can read":         {31 * time.Minute, []string{"NoteworksEventsParked", "NoteworksDeadLettersLeft"}, nil, true},
		"messages deleted before they are read": {60 * time.Second, []string{"NoteworksLiveGaps"}, []string{"NoteworksStreamRebuilt"}, false},
		"the relay's lock held by a stranger":   {150 * time.Second, []string{"NoteworksOutboxWithoutRelay"}, nil, false},
		"the notes' table locked":               {165 * time.Second, []string{"NoteworksDatabasePoolExhausted"}, nil, false},
		"the search index locked":               {690 * time.Second, []string{"NoteworksConsumerStuck", "NoteworksConsumerLags"}, nil, true},
		"a workspace that asks for too much":    {12 * time.Minute, []string{"NoteworksWorkspaceLimited"}, nil, true},
		"browsers that do not read":             {40 * time.Second, []string{"NoteworksLiveClientsCut"}, nil, false},
		"the user service down":                 {100 * time.Second, []string{"NoteworksServiceAway"}, nil, false},
		"silence between gateway and note":      {165 * time.Second, []string{"NoteworksBreakerOpen"}, nil, false},
		"connections reset at random":           {120 * time.Second, []string{"NoteworksRelayRestarts"}, nil, false},
		"a consumer slower than the producer":   {8 * time.Minute, []string{"NoteworksRelayRestarts", "NoteworksConsumerLags"}, []string{"NoteworksOutboxStuck"}, false},
		"2 s between gateway and note":          {12 * time.Minute, []string{"NoteworksRequestsSlow"}, nil, false},
		"Jaeger short of memory":                {690 * time.Second, []string{"NoteworksSpansRefused"}, nil, true},
		"a note's row locked":                   {12 * time.Minute, []string{"NoteworksRequestsShed"}, []string{"NoteworksRequestsFail"}, false},
		"PostgreSQL stopped":                    {330 * time.Second, []string{"NoteworksServiceAway", "NoteworksReplicaNotReady", "NoteworksRequestsFail"}, nil, false},
	}
}
