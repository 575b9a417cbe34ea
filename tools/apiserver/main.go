// Command apiserver is a Kubernetes API server with what it needs, in one program: kube-apiserver, etcd and kubectl, each picked by the name that
// the program is called by. The operator's tests talk to it, and nothing else does: a server ends with the process that started it, however that ends.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	var command *cobra.Command
	switch name := filepath.Base(os.Args[0]); name {
	case "etcd":
		go endWithParent(os.Getppid())
		etcdmain.Main(os.Args)
		return
	case "kube-apiserver":
		go endWithParent(os.Getppid())
		command = apiserver.NewAPIServerCommand()
	case "kubectl":
		command = kubectl.NewDefaultKubectlCommand()
	default:
		fmt.Fprintf(os.Stderr, "%s: call me as kube-apiserver, etcd or kubectl\n", name)
		os.Exit(2)
	}
	os.Exit(cli.Run(command))
}

// endWithParent ends the process once its parent is another: a test process that was killed stops nobody.
func endWithParent(parent int) {
	for range time.Tick(200 * time.Millisecond) {
		if os.Getppid() != parent {
			os.Exit(1)
		}
	}
}
