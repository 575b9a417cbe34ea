package forward

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

func endpoint(pod string, ready, serving, terminating bool) discoveryv1.Endpoint {
	return discoveryv1.Endpoint{
		TargetRef:  &corev1.ObjectReference{Kind: "Pod", Name: pod},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
	}
}

func slice(name string, port int32, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &port}}, Endpoints: endpoints}
}

func TestThePodsBehindAServiceAreTheReadyOnesAndElseThoseThatStillServe(t *testing.T) {
	t.Parallel()
	ready, starting := endpoint("ready", true, true, false), endpoint("starting", false, false, false)
	ending, dead := endpoint("ending", false, true, true), endpoint("dead", false, false, true)
	for name, c := range map[string]struct {
		slices []*discoveryv1.EndpointSlice
		want   string
	}{
		"nothing":                 {nil, "[]"},
		"ready before others":     {[]*discoveryv1.EndpointSlice{slice("http", 8080, starting, ready, ending, dead)}, "[{ready 8080}]"},
		"ending while none ready": {[]*discoveryv1.EndpointSlice{slice("http", 8080, starting, ending, dead)}, "[{ending 8080}]"},
		"nobody":                  {[]*discoveryv1.EndpointSlice{slice("http", 8080, starting, dead)}, "[]"},
		"several slices":          {[]*discoveryv1.EndpointSlice{slice("http", 8080, ready), slice("http", 8081, ready), slice("ops", 8083, ready)}, "[{ready 8080} {ready 8081}]"},
		"no condition is ready":   {[]*discoveryv1.EndpointSlice{slice("http", 1, discoveryv1.Endpoint{TargetRef: ready.TargetRef})}, "[{ready 1}]"},
		"not a pod":               {[]*discoveryv1.EndpointSlice{slice("http", 1, discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}})}, "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := fmt.Sprint(targets(c.slices, "http")); got != c.want {
				t.Errorf("the targets are %s, not %s", got, c.want)
			}
		})
	}
}

func TestAPortIsNamedOrNumbered(t *testing.T) {
	t.Parallel()
	s := []*discoveryv1.EndpointSlice{slice("rpc", 8082, endpoint("a", true, true, false))}
	for port, want := range map[string]string{"rpc": "[{a 8082}]", "8082": "[{a 8082}]", "http": "[]"} {
		if got := fmt.Sprint(targets(s, port)); got != want {
			t.Errorf("port %s leads to %s, not %s", port, got, want)
		}
	}
}
