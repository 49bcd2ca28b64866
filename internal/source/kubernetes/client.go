package kubernetes

import (
	"context"
	"net"
	"net/http"
	"time"

	"golang.org/x/time/rate"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/connrotation"
)

// The rate of requests. Watches have a rate of their own, so that what can be read at once
// does not wait for them.
const (
	requestsPerSecond = 100
	requestBurst      = 200
	watchesPerSecond  = 100
	watchBurst        = 100
)

const (
	dialTimeout = 10 * time.Second
	keepAlive   = 30 * time.Second
)

// clients share their connections and their rate.
type clients struct {
	http     *http.Client
	dialer   *connrotation.Dialer
	dynamic  dynamic.Interface
	metadata metadata.Interface
	limiter  *rate.Limiter
	watches  *rate.Limiter
	*discovery
}

func newClients(config *rest.Config) (*clients, error) {
	c := &clients{
		dialer:  connrotation.NewDialer((&net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}).DialContext),
		limiter: rate.NewLimiter(requestsPerSecond, requestBurst),
		watches: rate.NewLimiter(watchesPerSecond, watchBurst),
	}
	config.Dial = c.dialer.DialContext
	if config.Proxy == nil {
		config.Proxy = http.ProxyFromEnvironment // with a function, client-go shares no connections
	}
	var err error
	if c.http, err = rest.HTTPClientFor(config); err != nil {
		return nil, err
	}
	if c.dynamic, err = dynamic.NewForConfigAndClient(config, c.http); err != nil {
		return nil, err
	}
	if c.metadata, err = metadata.NewForConfigAndClient(config, c.http); err != nil {
		return nil, err
	}
	types := runtime.NewScheme()
	metav1.AddToGroupVersion(types, schema.GroupVersion{Version: "v1"})
	plain := rest.CopyConfig(config)
	plain.NegotiatedSerializer = serializer.NewCodecFactory(types).WithoutConversion()
	client, err := rest.UnversionedRESTClientForConfigAndClient(plain, c.http)
	if err != nil {
		return nil, err
	}
	c.discovery = &discovery{client: client, limiter: c.limiter}
	return c, nil
}

// close ends all connections.
func (c *clients) close() {
	utilnet.CloseIdleConnectionsFor(c.http.Transport)
	c.dialer.CloseAll()
}

// objects is a resource whose objects are read whole.
type objects struct{ dynamic.ResourceInterface }

func (o objects) list(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	return o.List(ctx, options)
}

func (o objects) watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return o.Watch(ctx, options)
}

func (c *clients) objects(of schema.GroupVersionResource, namespace string) resource {
	return objects{c.dynamic.Resource(of).Namespace(namespace)}
}

// metadataOnly is a resource of whose objects only the metadata is read.
type metadataOnly struct{ metadata.ResourceInterface }

func (m metadataOnly) list(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	return m.List(ctx, options)
}

func (m metadataOnly) watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return m.Watch(ctx, options)
}

func (c *clients) metadataOf(of schema.GroupVersionResource, namespace string) resource {
	return metadataOnly{c.metadata.Resource(of).Namespace(namespace)}
}
