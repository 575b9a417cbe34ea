package event_test

import (
	"maps"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/goccy/go-yaml"

	"noteworks.dev/services/internal/event"
)

// On a cluster, the chart tells NATS what each service may do; the services' code says what that is.
func TestTheChartGivesTheServicesTheirRightsAndNoOthers(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../charts/noteworks/charts/nats/files/rights.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var chart map[string]struct{ Publish, Subscribe []string }
	if err := yaml.UnmarshalWithOptions(text, &chart, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if users := slices.Sorted(maps.Keys(chart)); !slices.Equal(users, []string{"gateway", "note", "user"}) {
		t.Errorf("the chart has the users %q", users)
	}
	for user, got := range chart {
		want, err := event.RightsOf(user)
		if err != nil {
			t.Error(err)
		}
		if !reflect.DeepEqual(sorted(got.Publish), sorted(want.Publish)) || !reflect.DeepEqual(sorted(got.Subscribe), sorted(want.Subscribe)) {
			t.Errorf("the chart lets %s publish %q and subscribe %q; it needs %q and %q", user, got.Publish, got.Subscribe, want.Publish, want.Subscribe)
		}
	}
}

func sorted(subjects []string) []string { return slices.Sorted(slices.Values(subjects)) }
