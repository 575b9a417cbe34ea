package charts

import (
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
)

// A template that reads a value which is in no values.yaml has misspelt it, and Helm would read nothing at all.
func TestTemplatesReadOnlyValuesThatThereAre(t *testing.T) {
	t.Parallel()
	for name, in := range installs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if in.chart == "" {
				in.chart = Umbrella
			}
			loaded, err := Load(in.chart)
			if err != nil {
				t.Fatal(err)
			}
			values := copied(in.values)
			if err := chartutil.ProcessDependencies(loaded, values); err != nil {
				t.Fatal(err)
			}
			top, err := util.ToRenderValues(loaded, values, common.ReleaseOptions{Name: "noteworks", Namespace: namespace, IsInstall: true}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := (engine.Engine{Strict: true}).RenderWithContext(t.Context(), loaded, top); err != nil {
				t.Error(err)
			}
		})
	}
}
