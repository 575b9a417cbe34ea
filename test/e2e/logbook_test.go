//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// logbook keeps what every container of a namespace has logged, those that are gone by now included.
type logbook struct {
	kube      kubernetes.Interface
	namespace string
	ended     sync.WaitGroup

	mu    sync.Mutex
	pages map[logKey]*page
}

type logKey struct {
	pod       types.UID
	container string
	restart   int32
}

type page struct {
	pod, container string
	lines          []string
}

// openLogbook follows the logs of a namespace until ctx ends.
func openLogbook(ctx context.Context, kube kubernetes.Interface, namespace string) *logbook {
	b := &logbook{kube: kube, namespace: namespace, pages: map[logKey]*page{}}
	b.ended.Go(func() { b.follow(ctx) })
	return b
}

func (b *logbook) close() { b.ended.Wait() }

func (b *logbook) follow(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		pods, err := b.kube.CoreV1().Pods(b.namespace).List(ctx, metav1.ListOptions{})
		if err == nil {
			for _, p := range pods.Items {
				b.begin(ctx, p)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// begin follows the containers of a pod that run and are not followed yet.
func (b *logbook) begin(ctx context.Context, p corev1.Pod) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		key := logKey{p.UID, c.Name, c.RestartCount}
		if b.pages[key] != nil || c.State.Running == nil && c.State.Terminated == nil {
			continue
		}
		sheet := &page{pod: p.Name, container: c.Name}
		b.pages[key] = sheet
		b.ended.Go(func() { b.copy(ctx, sheet) })
	}
}

func (b *logbook) copy(ctx context.Context, sheet *page) {
	stream, err := b.kube.CoreV1().Pods(b.namespace).GetLogs(sheet.pod, &corev1.PodLogOptions{Container: sheet.container, Follow: true, LimitBytes: ptr.To[int64](16 << 20)}).Stream(ctx)
	if err != nil {
		b.add(sheet, "(the log can not be read: "+err.Error()+")")
		return
	}
	defer func() { _ = stream.Close() }()
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		b.add(sheet, lines.Text())
	}
}

func (b *logbook) add(sheet *page, line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sheet.lines = append(sheet.lines, line)
}

// find returns the first line of a pod that holds all of the words.
func (b *logbook) find(pod string, words ...string) (line string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, sheet := range b.pages {
		if sheet.pod != pod {
			continue
		}
		for _, line := range sheet.lines {
			if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
				return line, true
			}
		}
	}
	return "", false
}

// text is all that a pod has logged.
func (b *logbook) text(pod string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var lines []string
	for _, sheet := range b.pages {
		if sheet.pod == pod {
			lines = append(lines, sheet.lines...)
		}
	}
	return strings.Join(lines, "\n")
}

// errors are the lines that tell of a mistake in one of the services; whatever happens to a stack, there should be none.
func (b *logbook) errors() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []string
	for _, sheet := range b.pages {
		for _, line := range sheet.lines {
			if strings.Contains(line, `"level":"ERROR"`) || strings.HasPrefix(line, "panic:") || strings.Contains(line, "DATA RACE") {
				found = append(found, sheet.pod+": "+line)
			}
		}
	}
	return found
}

// longestLine is how much of a line a report shows.
const longestLine = 400

// last returns the last lines of each container.
func (b *logbook) last(n int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out strings.Builder
	for _, sheet := range slices.SortedFunc(maps.Values(b.pages), func(x, y *page) int {
		return strings.Compare(x.pod+x.container, y.pod+y.container)
	}) {
		fmt.Fprintf(&out, "--- %s %s\n", sheet.pod, sheet.container)
		for _, line := range sheet.lines[max(0, len(sheet.lines)-n):] {
			fmt.Fprintln(&out, line[:min(len(line), longestLine)])
		}
	}
	return out.String()
}
