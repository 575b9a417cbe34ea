package forward

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// Tunnels reaches pods of a namespace through the API server, over one tunnel to each, as `kubectl port-forward` does. Safe for concurrent use.
type Tunnels struct {
	config    *rest.Config
	kube      kubernetes.Interface
	namespace string

	mu       sync.Mutex
	open     map[string]*tunnel
	requests int
}

// tunnel is the connection to one pod, made when it is asked for first.
type tunnel struct {
	connection func() (httpstream.Connection, error)
}

// NewTunnels makes tunnels to the pods of a namespace.
func NewTunnels(config *rest.Config, kube kubernetes.Interface, namespace string) *Tunnels {
	return &Tunnels{config: config, kube: kube, namespace: namespace, open: map[string]*tunnel{}}
}

// Close ends all tunnels.
func (t *Tunnels) Close() {
	t.mu.Lock()
	open := t.open
	t.open = map[string]*tunnel{}
	t.mu.Unlock()
	for _, one := range open {
		if conn, err := one.connection(); err == nil {
			_ = conn.Close()
		}
	}
}

// Dial opens a connection to a port of a pod. If nobody listens there the stream ends at once, with the reason as its Failure.
func (t *Tunnels) Dial(_ context.Context, to Target) (io.ReadWriteCloser, error) {
	one, request := t.to(to.Pod)
	conn, err := one.connection()
	if err != nil {
		t.forget(to.Pod, one)
		return nil, err
	}
	s, err := openStream(conn, to.Port, request)
	if err != nil {
		t.forget(to.Pod, one)
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

func (t *Tunnels) to(pod string) (one *tunnel, request int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests++
	if one = t.open[pod]; one == nil {
		one = &tunnel{}
		one.connection = sync.OnceValues(func() (httpstream.Connection, error) {
			conn, err := t.connect(pod)
			if err == nil {
				go func() {
					<-conn.CloseChan()
					t.forget(pod, one)
				}()
			}
			return conn, err
		})
		t.open[pod] = one
	}
	return one, t.requests
}

func (t *Tunnels) forget(pod string, one *tunnel) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[pod] == one {
		delete(t.open, pod)
	}
}

// connect tunnels through a WebSocket, and through SPDY where the API server or what stands before it does not know the former.
func (t *Tunnels) connect(pod string) (httpstream.Connection, error) {
	url := t.kube.CoreV1().RESTClient().Post().Namespace(t.namespace).Resource("pods").Name(pod).SubResource("portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(t.config)
	if err != nil {
		return nil, err
	}
	old := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	current, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, t.config)
	if err != nil {
		return nil, err
	}
	conn, _, err := portforward.NewFallbackDialerForStreaming(current, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}).Dial(portforward.PortForwardProtocolV1Name)
	return conn, err
}

// stream is one connection inside a tunnel: the data, and a word about why it failed.
type stream struct {
	httpstream.Stream
	conn    httpstream.Connection
	trouble httpstream.Stream
	said    chan error
}

func openStream(conn httpstream.Connection, port, request int) (*stream, error) {
	header := http.Header{}
	header.Set(corev1.StreamType, corev1.StreamTypeError)
	header.Set(corev1.PortHeader, strconv.Itoa(port))
	header.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(request))
	trouble, err := conn.CreateStream(header)
	if err != nil {
		return nil, fmt.Errorf("open the stream of errors: %w", err)
	}
	_ = trouble.Close() // nothing is ever written to it
	header.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := conn.CreateStream(header)
	if err != nil {
		conn.RemoveStreams(trouble)
		return nil, fmt.Errorf("open the stream of data: %w", err)
	}
	s := &stream{Stream: data, conn: conn, trouble: trouble, said: make(chan error, 1)}
	go s.listen()
	return s, nil
}

func (s *stream) listen() {
	word, err := io.ReadAll(s.trouble)
	if err == nil && len(word) > 0 {
		err = fmt.Errorf("%s", word)
	}
	s.said <- err
	s.conn.RemoveStreams(s.trouble)
}

// Failure waits for the end of the connection and returns why it ended, nil if as it should.
func (s *stream) Failure() error {
	_ = s.Stream.Reset() // what is still unsent would hold the other stream up for ever
	return <-s.said
}

// Reset ends both directions.
func (s *stream) Reset() error {
	err := s.Stream.Reset()
	s.conn.RemoveStreams(s.Stream)
	return err
}
