//go:build alerts

package server

import (
	"os"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"noteworks.dev/operator/api/v1alpha1"
	"noteworks.dev/operator/internal/controller"
	"noteworks.dev/test/recording"
)

// The operator's alerts wait for up to a quarter of an hour. `make faults-operator` plays this, into the directory RECORDINGS, and holds the alerts against it.
//
//nolint:paralleltest // an operator sees to the whole cluster
func TestTheOperatorsFaultIsRecorded(t *testing.T) {
	const lasts = 17 * time.Minute
	addr := freeAddress(t)
	w := startWorld(t, "ROUTE_KIND=none", "METRICS_ADDR="+addr)
	_, _ = w.run()
	old := w.apply("old")
	old = w.untilCondition(old, v1alpha1.ConditionReady, controller.ReasonReady)

	r, err := recording.Begin(os.Getenv("RECORDINGS"), recording.Fault{
		Name: "the user service away from the operator, and a webhook that refuses it", Chart: "noteworks-operator",
		Fire: []string{"NoteworksReconcileFails", "NoteworksWorkspacesNotReady"},
	})
	w.must(err)
	record := func(d time.Duration) {
		tick := time.NewTicker(recording.Every)
		defer tick.Stop()
		for began := time.Now(); time.Since(began) < d; <-tick.C {
			_, metrics := get(t, "http://"+addr+"/metrics")
			r.Scrape("noteworks-operator", "noteworks-operator", metrics)
		}
	}
	record(recording.After)

	r.Begins()
	w.platform.Down.Store(true)
	away := w.webhook()
	w.must(w.Client.Create(t.Context(), away))
	for w.Client.Update(t.Context(), old.DeepCopy(), client.DryRunAll) == nil { // until the API server has heard of it
		w.pass()
	}
	made := w.apply("new")
	w.untilCondition(old, v1alpha1.ConditionReady, controller.ReasonPlatformUnavailable)
	record(lasts)

	r.Ends()
	w.must(w.Client.Delete(t.Context(), away))
	w.platform.Down.Store(false)
	w.untilCondition(old, v1alpha1.ConditionReady, controller.ReasonReady)
	w.untilCondition(made, v1alpha1.ConditionReady, controller.ReasonReady)
	record(recording.After)
	w.must(r.Close())
}

// webhook is asked about every change of a NoteWorkspace, and is not there: whatever the operator writes but the status is refused.
func (w *world) webhook() *admissionv1.ValidatingWebhookConfiguration {
	nowhere, refuse, none := "https://127.0.0.1:1", admissionv1.Fail, admissionv1.SideEffectClassNone
	return &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: w.namespace},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "nowhere.example.org", AdmissionReviewVersions: []string{"v1"}, SideEffects: &none, FailurePolicy: &refuse,
			ClientConfig: admissionv1.WebhookClientConfig{URL: &nowhere, CABundle: w.Config.CAData},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Update},
				Rule:       admissionv1.Rule{APIGroups: []string{v1alpha1.GroupVersion.Group}, APIVersions: []string{"*"}, Resources: []string{"noteworkspaces"}},
			}},
		}},
	}
}
