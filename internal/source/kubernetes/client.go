package kubernetes

import (
	"context"
	"net/http"

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
)

// The rate of requests, watches included.
const (
	requestsPerSecond = 100
	requestBurst      = 200
)

// clients share their connections and their rate.
type clients struct {
	http     *http.Client
	dynamic  dynamic.Interface
	metadata metadata.Interface
	limiter  *rate.Limiter
	*discovery
}

func newClients(config *rest.Config) (*clients, error) {
	c := &clients{limiter: rate.NewLimiter(requestsPerSecond, requestBurst)}
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

// close ends the connections that are not in use.
func (c *clients) close() { utilnet.CloseIdleConnectionsFor(c.http.Transport) }

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
