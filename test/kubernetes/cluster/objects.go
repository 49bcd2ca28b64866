package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/yaml"
)

// manager owns the fields that tests apply.
const manager = "test"

// discoveryTimeout is how long a kind may take to be served after its CRD was
// created.
const discoveryTimeout = 10 * time.Second

// Apply applies the objects of YAML text, as kubectl apply --server-side does. The
// text may have several documents. The namespace is used for objects that name
// none.
func (c *Cluster) Apply(t *testing.T, namespace, text string) []*unstructured.Unstructured {
	t.Helper()
	return c.applyAll(t, namespace, text)
}

// ApplyStatus applies the status of objects, as their controller does.
func (c *Cluster) ApplyStatus(t *testing.T, namespace, text string) []*unstructured.Unstructured {
	t.Helper()
	return c.applyAll(t, namespace, text, "status")
}

func (c *Cluster) applyAll(t *testing.T, namespace, text string, subresources ...string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := parse(text)
	require.NoError(t, err)
	applied := make([]*unstructured.Unstructured, len(objects))
	for i, object := range objects {
		applied[i], err = c.apply(t.Context(), namespace, object, subresources...)
		require.NoError(t, err)
	}
	return applied
}

// Delete deletes the objects of YAML text. Only their kind and name matter. It is
// no error if one does not exist.
func (c *Cluster) Delete(t *testing.T, namespace, text string) {
	t.Helper()
	objects, err := parse(text)
	require.NoError(t, err)
	for _, object := range objects {
		resource, err := c.resource(t.Context(), object.GroupVersionKind(), namespaceOf(object, namespace))
		require.NoError(t, err)
		err = resource.Delete(t.Context(), object.GetName(), metav1.DeleteOptions{})
		if !apierrors.IsNotFound(err) {
			require.NoError(t, err)
		}
	}
}

// Resource is a client of one kind with the administrator's rights. For a
// namespaced kind, an empty namespace means all namespaces.
func (c *Cluster) Resource(t *testing.T, apiVersion, kind, namespace string) dynamic.ResourceInterface {
	t.Helper()
	resource, err := c.resource(t.Context(), schema.FromAPIVersionAndKind(apiVersion, kind), namespace)
	require.NoError(t, err)
	return resource
}

func (c *Cluster) apply(ctx context.Context, namespace string, object *unstructured.Unstructured, subresources ...string) (*unstructured.Unstructured, error) {
	resource, err := c.resource(ctx, object.GroupVersionKind(), namespaceOf(object, namespace))
	if err != nil {
		return nil, err
	}
	applied, err := resource.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: manager, Force: true}, subresources...)
	if err != nil {
		return nil, fmt.Errorf("applying %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return applied, nil
}

func (c *Cluster) resource(ctx context.Context, kind schema.GroupVersionKind, namespace string) (dynamic.ResourceInterface, error) {
	mapping, err := c.mapper.wait(ctx, kind)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace && namespace != "" {
		return c.dynamic.Resource(mapping.Resource).Namespace(namespace), nil
	}
	return c.dynamic.Resource(mapping.Resource), nil
}

func namespaceOf(object *unstructured.Unstructured, namespace string) string {
	if own := object.GetNamespace(); own != "" {
		return own
	}
	return namespace
}

// parse reads the documents of YAML text.
func parse(text string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		content := map[string]any{}
		if err := yaml.Unmarshal(document, &content); err != nil {
			return nil, fmt.Errorf("%w in:\n%s", err, document)
		}
		if len(content) == 0 {
			continue
		}
		object := &unstructured.Unstructured{Object: content}
		if object.GetAPIVersion() == "" || object.GetKind() == "" || object.GetName() == "" {
			return nil, fmt.Errorf("apiVersion, kind or metadata.name is missing in:\n%s", document)
		}
		objects = append(objects, object)
	}
}

// mapper finds the resource of a kind.
type mapper struct {
	*restmapper.DeferredDiscoveryRESTMapper
}

func newMapper(client discovery.DiscoveryInterface) *mapper {
	return &mapper{restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client))}
}

// wait waits for a kind whose CRD was created just now.
func (m *mapper) wait(ctx context.Context, kind schema.GroupVersionKind) (*meta.RESTMapping, error) {
	ctx, cancel := context.WithTimeout(ctx, discoveryTimeout)
	defer cancel()
	for {
		mapping, err := m.RESTMapping(kind.GroupKind(), kind.Version)
		if err == nil || !meta.IsNoMatchError(err) {
			return mapping, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(tick):
			m.Reset()
		}
	}
}

// InstallCRDs installs the CRDs of Flux: Provider, Alert and Receiver, and the
// kinds of source-controller and kustomize-controller. It returns when all are
// served.
func (c *Cluster) InstallCRDs(t *testing.T) {
	t.Helper()
	require.NoError(t, c.installCRDs(t.Context()))
}

func (c *Cluster) installCRDs(ctx context.Context) error {
	var definitions []*unstructured.Unstructured
	for _, folder := range c.cache.CRDs() {
		files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
		if err != nil {
			return err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			parsed, err := parse(string(bytes.TrimSpace(text)))
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			definitions = append(definitions, parsed...)
		}
	}
	for _, definition := range definitions {
		if _, err := c.apply(ctx, "", definition); err != nil {
			return err
		}
	}
	for _, definition := range definitions {
		for _, kind := range served(definition) {
			resource, err := c.resource(ctx, kind, "")
			if err != nil {
				return err
			}
			if err := wait(ctx, func() error {
				_, err := resource.List(ctx, metav1.ListOptions{Limit: 1})
				return err
			}); err != nil {
				return fmt.Errorf("%s is not served: %w", kind, err)
			}
		}
	}
	return nil
}

// served are the kinds of a CRD, one for each served version.
func served(definition *unstructured.Unstructured) []schema.GroupVersionKind {
	group, _, _ := unstructured.NestedString(definition.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(definition.Object, "spec", "names", "kind")
	versions, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
	var kinds []schema.GroupVersionKind
	for _, version := range versions {
		fields, _ := version.(map[string]any)
		if on, _ := fields["served"].(bool); on {
			name, _ := fields["name"].(string)
			kinds = append(kinds, schema.GroupVersionKind{Group: group, Version: name, Kind: kind})
		}
	}
	return kinds
}

// wait calls a function until it succeeds.
func wait(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, discoveryTimeout)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(tick):
		}
	}
}
