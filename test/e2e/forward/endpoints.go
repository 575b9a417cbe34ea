package forward

import (
	"context"
	"errors"
	"strconv"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// Endpoints watches the EndpointSlices of a Service.
type Endpoints struct {
	port  string
	store cache.Store
}

// Watch follows the pods behind a port, by name or number, of a Service until ctx ends. It returns when they are known, be there any or not.
func Watch(ctx context.Context, kube kubernetes.Interface, namespace, service, port string) (*Endpoints, error) {
	list := cache.NewFilteredListWatchFromClient(kube.DiscoveryV1().RESTClient(), "endpointslices", namespace, func(o *metav1.ListOptions) {
		o.LabelSelector = discoveryv1.LabelServiceName + "=" + service
	})
	store, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: list, ObjectType: &discoveryv1.EndpointSlice{}, Handler: cache.ResourceEventHandlerFuncs{},
	})
	go controller.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), controller.HasSynced) {
		return nil, errors.Join(errors.New("the EndpointSlices can not be watched"), ctx.Err())
	}
	return &Endpoints{port: port, store: store}, nil
}

// Targets are the ready pods; while there is none, those that are ending and still serve.
func (e *Endpoints) Targets() []Target {
	var slices []*discoveryv1.EndpointSlice
	for _, o := range e.store.List() {
		if s, ok := o.(*discoveryv1.EndpointSlice); ok {
			slices = append(slices, s)
		}
	}
	return targets(slices, e.port)
}

func targets(slices []*discoveryv1.EndpointSlice, port string) []Target {
	var ready, ending []Target
	for _, s := range slices {
		number, ok := numberOf(s.Ports, port)
		if !ok {
			continue
		}
		for _, e := range s.Endpoints {
			if e.TargetRef == nil || e.TargetRef.Kind != "Pod" {
				continue
			}
			t := Target{Pod: e.TargetRef.Name, Port: number}
			switch {
			case e.Conditions.Ready == nil || *e.Conditions.Ready:
				ready = append(ready, t)
			case is(e.Conditions.Serving) && is(e.Conditions.Terminating):
				ending = append(ending, t)
			}
		}
	}
	if len(ready) == 0 {
		return ending
	}
	return ready
}

func numberOf(ports []discoveryv1.EndpointPort, want string) (int, bool) {
	for _, p := range ports {
		if p.Port == nil {
			continue
		}
		if p.Name != nil && strings.EqualFold(*p.Name, want) || strconv.Itoa(int(*p.Port)) == want {
			return int(*p.Port), true
		}
	}
	return 0, false
}

func is(b *bool) bool { return b != nil && *b }
