package kubernetes

import (
	"cmp"
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// annotationPrefix begins the annotations that are settings.
const annotationPrefix = "notify.fluxnotify.io/"

const (
	// objectDelay is the longest time between two tries to read Providers or Alerts.
	objectDelay = 3 * time.Second
	// objectPage is the number of objects in one answer.
	objectPage = 500
)

// objectFeed reads the Providers or the Alerts, of one namespace or of all.
type objectFeed struct {
	feed
	kind, namespace string

	mu      sync.Mutex
	objects map[types.NamespacedName]map[string]any
}

func newObjectFeed(c *clients, s *signals, kind, namespace string) *objectFeed {
	o := &objectFeed{kind: kind, namespace: namespace}
	o.feed = feed{
		sink: o, signals: s, clients: c, maxDelay: objectDelay,
		selector: metav1.ListOptions{Limit: objectPage},
		find: func(ctx context.Context) (resource, error) {
			if _, failing := o.get(); failing != nil && failing.kind == notServed {
				c.forgetNotification()
			}
			found, err := c.findNotification(ctx, kind)
			if err != nil {
				return nil, err
			}
			return c.objects(found, namespace), nil
		},
	}
	return o
}

func (o *objectFeed) begin() {}

// trim keeps only the parts whose change is a change of the settings.
func (o *objectFeed) trim(object metav1.Object) any {
	whole, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	metadata := map[string]any{"namespace": object.GetNamespace(), "name": object.GetName(), "uid": string(object.GetUID())}
	annotations := map[string]any{}
	for key, value := range object.GetAnnotations() {
		if strings.HasPrefix(key, annotationPrefix) {
			annotations[key] = value
		}
	}
	if len(annotations) > 0 {
		metadata["annotations"] = annotations
	}
	kept := map[string]any{"apiVersion": whole.GetAPIVersion(), "kind": o.kind, "metadata": metadata}
	if spec, ok := whole.Object["spec"]; ok {
		kept["spec"] = spec
	}
	return kept
}

func (o *objectFeed) replace(all map[types.NamespacedName]any) {
	objects := make(map[types.NamespacedName]map[string]any, len(all))
	for name, object := range all {
		objects[name], _ = object.(map[string]any)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !reflect.DeepEqual(objects, o.objects) {
		o.objects = objects
		o.signals.changed()
	}
}

func (o *objectFeed) set(name types.NamespacedName, object any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.objects[name]
	now, ok := object.(map[string]any)
	switch {
	case ok && reflect.DeepEqual(before, now), !ok && before == nil:
		return
	case ok:
		o.objects[name] = now
	default:
		delete(o.objects, name)
	}
	o.signals.changed()
}

func (o *objectFeed) all() []map[string]any {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Collect(maps.Values(o.objects))
}

// sortObjects sorts by namespace and name.
func sortObjects(objects []map[string]any) {
	slices.SortFunc(objects, func(a, b map[string]any) int {
		return compareNames(identity(a), identity(b))
	})
}

func compareNames(a, b types.NamespacedName) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

func identity(object map[string]any) types.NamespacedName {
	return types.NamespacedName{Namespace: text(object, "metadata", "namespace"), Name: text(object, "metadata", "name")}
}

// text is a string inside an object, empty if there is none.
func text(object map[string]any, path ...string) string {
	value, _, _ := unstructured.NestedString(object, path...)
	return value
}

// secretsOf are the Secrets that a Provider names.
func secretsOf(provider map[string]any) []types.NamespacedName {
	var names []types.NamespacedName
	for _, field := range []string{"secretRef", "certSecretRef", "proxySecretRef"} {
		name := types.NamespacedName{Namespace: text(provider, "metadata", "namespace"), Name: text(provider, "spec", field, "name")}
		if isObjectName(name.Name) {
			names = append(names, name)
		}
	}
	return names
}

// labelKinds are the kinds whose labels an Alert asks for.
func labelKinds(alert map[string]any) []string {
	sources, _, _ := unstructured.NestedFieldNoCopy(alert, "spec", "eventSources")
	list, _ := sources.([]any)
	var kinds []string
	for _, item := range list {
		source, _ := item.(map[string]any)
		labels, _ := source["matchLabels"].(map[string]any)
		if kind, _ := source["kind"].(string); kind != "" && len(labels) > 0 {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}
