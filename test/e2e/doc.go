// Package e2e is the end-to-end suite: it installs the charts into a cluster with the helm command, as a user would, uses what then runs as people
// do, and breaks it. Its tests need a cluster, named by KUBECONFIG, and are built with the tag e2e; `make e2e` runs them.
//
// Stories that do one another no harm share one installation; the others have one of their own. They run one at a time: a cluster may be small,
// and what they measure is not to be disturbed.
package e2e
