package apitest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// patience is for a start on busy processors; alone it takes three seconds.
const patience = 90 * time.Second

// server is an API server with the custom resources that the operator knows of.
type server struct {
	config     *rest.Config // may do everything
	kubectl    string
	kubeconfig string    // the same for kubectl: a file
	alive      io.Closer // see removeAfterExit
}

// shared is the one global of the package: a server per process is the point of it.
//
//nolint:gochecknoglobals // see above
var shared = sync.OnceValues(start)

func start() (*server, error) {
	root, err := repository()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "noteworks-apitest-")
	if err != nil {
		return nil, err
	}
	alive, err := removeAfterExit(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	ctrllog.SetLogger(logr.Discard()) // or controller-runtime complains that nobody reads what it logs
	s, err := startIn(dir, filepath.Join(root, ".tools", "bin"), root)
	if err != nil {
		return nil, errors.Join(err, alive.Close())
	}
	s.alive = alive
	return s, nil
}

func startIn(dir, tools, root string) (*server, error) {
	for _, name := range []string{"etcd", "kube-apiserver", "kubectl"} {
		if _, err := os.Stat(filepath.Join(tools, name)); err != nil {
			return nil, fmt.Errorf("%s is missing: run `make tools`: %w", name, err)
		}
	}
	routes, err := gatewayCRD(root)
	if err != nil {
		return nil, err
	}
	log := filepath.Join(dir, "log")
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the servers have their own

	plane := &envtest.ControlPlane{
		Etcd: &envtest.Etcd{Path: filepath.Join(tools, "etcd"), DataDir: filepath.Join(dir, "etcd"), StartTimeout: patience, Out: out, Err: out},
		APIServer: &envtest.APIServer{
			Path: filepath.Join(tools, "kube-apiserver"), CertDir: filepath.Join(dir, "certificates"), StartTimeout: patience, Out: out, Err: out,
		},
	}
	if err := os.Mkdir(plane.APIServer.CertDir, 0o700); err != nil {
		return nil, err
	}
	// A stack has eight Services, and envtest's default has room for 254.
	plane.APIServer.Configure().Set("service-cluster-ip-range", "10.0.0.0/16").Set("endpoint-reconciler-type", "none").Set("profiling", "false")
	if err := plane.Start(); err != nil {
		return nil, fmt.Errorf("start: %w\n%s", err, tail(log))
	}
	user, err := plane.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, &rest.Config{QPS: -1}) // the server limits itself
	if err != nil {
		return nil, err
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		return nil, err
	}
	s := &server{config: user.Config(), kubectl: filepath.Join(tools, "kubectl"), kubeconfig: filepath.Join(dir, "kubeconfig")}
	if err := os.WriteFile(s.kubeconfig, kubeconfig, 0o600); err != nil {
		return nil, err
	}
	_, err = envtest.InstallCRDs(s.config, envtest.CRDInstallOptions{
		Scheme: Scheme(), MaxTime: patience, ErrorIfPathMissing: true,
		Paths: []string{filepath.Join(root, "config/crd/noteworks.dev_noteworkspaces.yaml"), routes},
	})
	return s, err
}

// repository is the folder of go.mod, above the folder of the package under test.
func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working directory")
		}
	}
}

// gatewayCRD is the file of HTTPRoute's schema, which comes with the module of its types.
func gatewayCRD(root string) (string, error) {
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api") //nolint:noctx // it looks into a file
	list.Dir = root
	dir, err := list.Output()
	if err != nil {
		return "", fmt.Errorf("where the Gateway API's module is: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(dir)), "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml"), nil
}

// removeAfterExit leaves a shell behind that waits for the end of this process, however it ends, and removes dir; the servers see to their own
// end. What it returns must stay reachable: once it is collected, its end looks like this process's.
func removeAfterExit(dir string) (io.Closer, error) {
	const script = `cat >/dev/null; for try in 1 2 3 4 5 6 7 8 9; do rm -rf "$1" 2>/dev/null && sleep 0.5 && [ ! -e "$1" ] && exit; sleep 0.5; done`
	shell := exec.Command("sh", "-c", script, "sh", dir) //nolint:noctx // it outlives every context on purpose
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	alive, err := shell.StdinPipe()
	if err != nil {
		return nil, err
	}
	return alive, shell.Start()
}

// tail is the end of a log, for people to see why.
func tail(file string) []byte {
	text, _ := os.ReadFile(file) // without it there is nothing to show
	lines := bytes.SplitAfter(text, []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-20):], nil)
}
