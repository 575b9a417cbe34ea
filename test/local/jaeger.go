package local

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/yaml"

	"noteworks.dev/charts"
)

// Jaeger is where traces go, as the chart configures it, but on loopback.
type Jaeger struct {
	*Process
	// OTLP is the address that spans are sent to by HTTP, Metrics that of its metrics.
	OTLP, Metrics string

	file                       string
	otlp, metrics, live, query string
}

// NewJaeger lays it out in dir; program is Jaeger's.
func NewJaeger(program, dir string, log io.Writer) (*Jaeger, error) {
	j := &Jaeger{file: filepath.Join(dir, "jaeger.yaml")}
	for _, addr := range []*string{&j.otlp, &j.metrics, &j.live, &j.query} {
		free, err := freeAddress()
		if err != nil {
			return nil, err
		}
		*addr = free
	}
	j.OTLP, j.Metrics = "http://"+j.otlp, "http://"+j.metrics+"/metrics"
	j.Process = &Process{Name: "jaeger", path: program, args: []string{"--config=" + j.file}, env: os.Environ, log: log, live: "http://" + j.live + "/status"}
	return j, j.Limit(0)
}

// Limit says from how many MiB on it refuses spans, the next time that it is started. 0: from the chart's share of the memory there is.
func (j *Jaeger) Limit(mib int) error {
	host, port, err := net.SplitHostPort(j.metrics)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	listens := func(addr string) map[string]any { return map[string]any{"endpoint": addr} }
	config := map[string]any{
		"service": map[string]any{"telemetry": map[string]any{"metrics": map[string]any{"readers": []any{
			map[string]any{"pull": map[string]any{"exporter": map[string]any{"prometheus": map[string]any{"host": host, "port": number}}}},
		}}}},
		"extensions": map[string]any{
			"healthcheckv2": map[string]any{"http": listens(j.live)},
			"jaeger_query":  map[string]any{"http": listens(j.query), "grpc": listens("127.0.0.1:0")},
		},
		"receivers": map[string]any{"otlp": map[string]any{"protocols": map[string]any{"http": listens(j.otlp), "grpc": listens("127.0.0.1:0")}}},
	}
	if mib > 0 {
		config["processors"] = map[string]any{"memory_limiter": map[string]any{"limit_mib": mib}}
	}
	text, err := jaegerConfig(config)
	if err != nil {
		return fmt.Errorf("jaeger's configuration: %w", err)
	}
	return os.WriteFile(j.file, []byte(text), 0o600)
}

// jaegerConfig is the chart's, and what config says otherwise.
func jaegerConfig(config map[string]any) (string, error) {
	chart, err := charts.Load(charts.Umbrella + "/charts/jaeger")
	if err != nil {
		return "", err
	}
	values, err := util.ToRenderValues(chart, map[string]any{"config": config}, common.ReleaseOptions{Name: "noteworks"}, nil)
	if err != nil {
		return "", err
	}
	files, err := engine.Render(chart, values)
	if err != nil {
		return "", err
	}
	var object struct {
		Data map[string]string `json:"data"`
	}
	if err := yaml.Unmarshal([]byte(files["jaeger/templates/configmap.yaml"]), &object); err != nil {
		return "", err
	}
	text, ok := object.Data["jaeger.yaml"]
	if !ok {
		return "", errors.New("the chart has none")
	}
	return text, nil
}
