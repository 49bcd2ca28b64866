package cluster

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
)

// cleanTimeout is how long the removal of a namespace may take.
const cleanTimeout = 30 * time.Second

// Namespace creates a namespace with a new name. It is removed from a shared
// cluster when the test ends.
func (c *Cluster) Namespace(t *testing.T) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	created, err := c.typed.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{})
	require.NoError(t, err)
	if c.shared {
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), cleanTimeout)
			defer cancel()
			require.NoError(t, c.deleteNamespace(ctx, created.Name))
		})
	}
	return created.Name
}

// DeleteNamespace deletes a namespace and all that is in it. There is no namespace
// controller that would do that, and finalizers are removed without waiting for
// their controllers.
func (c *Cluster) DeleteNamespace(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, c.deleteNamespace(t.Context(), name))
}

func (c *Cluster) deleteNamespace(ctx context.Context, name string) error {
	namespaces := c.typed.CoreV1().Namespaces()
	if err := namespaces.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	lists, err := c.typed.Discovery().ServerPreferredNamespacedResources()
	if err != nil {
		return err
	}
	for _, list := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"deletecollection", "list", "patch"}}, lists) {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return err
		}
		for _, resource := range list.APIResources {
			if err := empty(ctx, c.dynamic.Resource(group.WithResource(resource.Name)).Namespace(name)); err != nil {
				return err
			}
		}
	}
	namespace, err := namespaces.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	namespace.Spec.Finalizers = slices.DeleteFunc(namespace.Spec.Finalizers, func(f corev1.FinalizerName) bool { return f == corev1.FinalizerKubernetes })
	_, err = namespaces.Finalize(ctx, namespace, metav1.UpdateOptions{})
	return err
}

// empty deletes all objects of one resource in a namespace.
func empty(ctx context.Context, resource dynamic.ResourceInterface) error {
	if err := resource.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		return err
	}
	left, err := resource.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, object := range left.Items {
		patch := []byte(`{"metadata":{"finalizers":null}}`)
		if _, err := resource.Patch(ctx, object.GetName(), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}
