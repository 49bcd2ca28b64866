package cluster_test

import (
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fluxnotify/otelcol-flux/test/kubernetes/cluster"
)

// timeout is how long anything may take that is immediate on an idle machine.
const timeout = 30 * time.Second

const tick = 20 * time.Millisecond

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

func TestStart(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	version, err := client(t, c.Admin()).Discovery().ServerVersion()
	require.NoError(t, err)
	assert.Regexp(t, `^v1\.\d+\.\d+$`, version.GitVersion)
	address, err := url.Parse(c.Server())
	require.NoError(t, err)
	assert.Equal(t, "127.0.0.1", address.Hostname())

	// Credentials are required, and so is the authority of the certificate.
	for name, config := range map[string]*rest.Config{
		"no credentials": {Host: c.Server(), TLSClientConfig: rest.TLSClientConfig{CAData: c.CA()}},
		"wrong token":    {Host: c.Server(), TLSClientConfig: rest.TLSClientConfig{CAData: c.CA()}, BearerToken: "wrong"},
	} {
		_, err := client(t, config).CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
		assert.True(t, apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err), "%s: %v", name, err)
	}
	_, err = client(t, &rest.Config{Host: c.Server()}).Discovery().ServerVersion()
	assert.ErrorContains(t, err, "certificate signed by unknown authority")
}

func TestCRDs(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	lists, err := client(t, c.Admin()).Discovery().ServerPreferredResources()
	require.NoError(t, err)
	var kinds []string
	for _, list := range lists {
		if strings.Contains(list.GroupVersion, ".toolkit.fluxcd.io/") {
			for _, resource := range list.APIResources {
				kinds = append(kinds, list.GroupVersion+" "+resource.Kind)
			}
		}
	}
	assert.ElementsMatch(t, []string{
		"kustomize.toolkit.fluxcd.io/v1 Kustomization",
		"notification.toolkit.fluxcd.io/v1 Receiver",
		"notification.toolkit.fluxcd.io/v1beta3 Alert",
		"notification.toolkit.fluxcd.io/v1beta3 Provider",
		"source.toolkit.fluxcd.io/v1 Bucket",
		"source.toolkit.fluxcd.io/v1 ExternalArtifact",
		"source.toolkit.fluxcd.io/v1 GitRepository",
		"source.toolkit.fluxcd.io/v1 HelmChart",
		"source.toolkit.fluxcd.io/v1 HelmRepository",
		"source.toolkit.fluxcd.io/v1 OCIRepository",
	}, kinds)
}

// A Provider and an Alert can be created and read in each version that their CRDs
// serve.
func TestVersions(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	for kind, spec := range map[string]string{
		"Provider": "{type: slack, channel: general, address: 'https://example.com/hook', secretRef: {name: slack}}",
		"Alert":    "{providerRef: {name: example}, eventSeverity: error, eventSources: [{kind: Kustomization, name: '*'}]}",
	} {
		crd := c.Resource(t, "apiextensions.k8s.io/v1", "CustomResourceDefinition", "")
		definition, err := crd.Get(t.Context(), strings.ToLower(kind)+"s.notification.toolkit.fluxcd.io", metav1.GetOptions{})
		require.NoError(t, err)
		versions := servedVersions(t, definition)
		assert.Equal(t, []string{"v1beta3"}, versions, kind)
		for _, version := range versions {
			namespace := c.Namespace(t)
			apiVersion := "notification.toolkit.fluxcd.io/" + version
			text := fmt.Sprintf("{apiVersion: %s, kind: %s, metadata: {name: example}, spec: %s}", apiVersion, kind, spec)
			applied := c.Apply(t, namespace, text)[0]
			read, err := c.Resource(t, apiVersion, kind, namespace).Get(t.Context(), "example", metav1.GetOptions{})
			require.NoError(t, err)
			assert.Equal(t, applied, read)
			assert.Equal(t, apiVersion, read.GetAPIVersion())
			assert.NotEmpty(t, read.Object["spec"])
		}
	}
}

// The schema of the CRDs is enforced.
func TestInvalidProvider(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	provider := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "notification.toolkit.fluxcd.io/v1beta3",
		"kind":       "Provider",
		"metadata":   map[string]any{"name": "example"},
		"spec":       map[string]any{"type": "pigeon"},
	}}
	_, err := c.Resource(t, provider.GetAPIVersion(), provider.GetKind(), c.Namespace(t)).Create(t.Context(), provider, metav1.CreateOptions{})
	assert.True(t, apierrors.IsInvalid(err), "%v", err)
}

func TestWithoutCRDs(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{NoCRDs: true})
	resource := dynamicClient(t, c.Admin()).Resource(providers)
	_, err := resource.List(t.Context(), metav1.ListOptions{})
	assert.True(t, apierrors.IsNotFound(err), "%v", err)
	c.InstallCRDs(t)
	_, err = resource.List(t.Context(), metav1.ListOptions{})
	assert.NoError(t, err)
}

// A ServiceAccount with a Role that is limited by resourceNames can get and watch
// one Secret, and nothing else.
func TestResourceNames(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	namespace := c.Namespace(t)
	config := c.ServiceAccount(t, namespace, "collector")
	c.Apply(t, namespace, `
apiVersion: v1
kind: Secret
metadata: {name: allowed}
stringData: {token: one}
---
apiVersion: v1
kind: Secret
metadata: {name: other}
stringData: {token: two}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: collector}
rules:
  - {apiGroups: [""], resources: [secrets], resourceNames: [allowed], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: collector}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: collector}
subjects:
  - {kind: ServiceAccount, name: collector}
`)
	// The way of a collector outside the cluster.
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig(t, config))
	require.NoError(t, err)
	secrets := client(t, config).CoreV1().Secrets(namespace)
	allowed, other := byName("allowed"), byName("other")

	// The authorizer reads roles from a watch of its own.
	require.Eventually(t, func() bool {
		_, err := secrets.Get(t.Context(), "allowed", metav1.GetOptions{})
		return err == nil
	}, timeout, tick)
	list, err := secrets.List(t.Context(), allowed)
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	assert.Equal(t, "one", string(list.Items[0].Data["token"]))

	allowed.ResourceVersion = list.ResourceVersion
	changes, err := secrets.Watch(t.Context(), allowed)
	require.NoError(t, err)
	defer changes.Stop()
	c.Apply(t, namespace, "{apiVersion: v1, kind: Secret, metadata: {name: other}, stringData: {token: unseen}}")
	c.Apply(t, namespace, "{apiVersion: v1, kind: Secret, metadata: {name: allowed}, stringData: {token: new}}")
	select {
	case change := <-changes.ResultChan():
		assert.Equal(t, watch.Modified, change.Type)
		secret, ok := change.Object.(*corev1.Secret)
		require.True(t, ok, "%v", change.Object)
		assert.Equal(t, "new", string(secret.Data["token"]))
	case <-time.After(timeout):
		assert.Fail(t, "no change arrived")
	}

	for name, try := range map[string]func() error{
		"get other":    func() error { _, err := secrets.Get(t.Context(), "other", metav1.GetOptions{}); return err },
		"list other":   func() error { _, err := secrets.List(t.Context(), other); return err },
		"list all":     func() error { _, err := secrets.List(t.Context(), metav1.ListOptions{}); return err },
		"watch other":  func() error { _, err := secrets.Watch(t.Context(), other); return err },
		"watch all":    func() error { _, err := secrets.Watch(t.Context(), metav1.ListOptions{}); return err },
		"delete":       func() error { return secrets.Delete(t.Context(), "allowed", metav1.DeleteOptions{}) },
		"other object": func() error { return configMaps(t, config, namespace) },
	} {
		assert.True(t, apierrors.IsForbidden(try()), name)
	}
}

func configMaps(t *testing.T, config *rest.Config, namespace string) error {
	t.Helper()
	_, err := client(t, config).CoreV1().ConfigMaps(namespace).List(t.Context(), metav1.ListOptions{})
	return err
}

func TestToken(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	namespace := c.Namespace(t)
	config := c.ServiceAccount(t, namespace, "collector")
	token := config.BearerToken
	config.BearerToken = c.Token(t, namespace, "collector", 10*time.Minute)
	assert.NotEqual(t, token, config.BearerToken)
	assert.Equal(t, "system:serviceaccount:"+namespace+":collector", whoami(t, config))
}

func TestUser(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig(t, c.User(t, "jane", "developers")))
	require.NoError(t, err)
	assert.Equal(t, "jane", whoami(t, config))
	assert.True(t, apierrors.IsForbidden(configMaps(t, config, "default")))

	namespace := c.Namespace(t)
	c.Apply(t, namespace, `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: developers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: developers}
subjects:
  - {apiGroup: rbac.authorization.k8s.io, kind: Group, name: developers}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: developers}
rules:
  - {apiGroups: [""], resources: [configmaps], verbs: [list]}
`)
	require.Eventually(t, func() bool { return configMaps(t, config, namespace) == nil }, timeout, tick)
}

// Objects survive a restart of the API server, and a watch goes on.
func TestRestart(t *testing.T) {
	t.Parallel()
	c := cluster.Start(t, cluster.Options{})
	namespace := c.Namespace(t)
	const provider = "{apiVersion: notification.toolkit.fluxcd.io/v1beta3, kind: Provider, metadata: {name: %s}, spec: {type: generic, address: 'http://127.0.0.1:1'}}"
	before := c.Apply(t, namespace, fmt.Sprintf(provider, "before"))[0]

	added := make(chan string, 10)
	informer := dynamicinformer.NewFilteredDynamicInformer(dynamicClient(t, c.Admin()), providers, namespace, 0, cache.Indexers{}, nil).Informer()
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(object any) {
		if o, ok := object.(*unstructured.Unstructured); ok {
			added <- o.GetName()
		}
	}})
	require.NoError(t, err)
	go informer.RunWithContext(t.Context())
	next := func() string {
		select {
		case name := <-added:
			return name
		case <-time.After(timeout):
			return "nothing"
		}
	}
	require.Equal(t, "before", next())

	server := c.Server()
	begun := time.Now()
	c.StopAPIServer(t)
	t.Logf("stopped after %s", time.Since(begun))
	_, err = client(t, c.Admin()).Discovery().ServerVersion()
	require.ErrorContains(t, err, "connection refused")
	begun = time.Now()
	c.StartAPIServer(t)
	t.Logf("ready after %s", time.Since(begun))
	assert.Equal(t, server, c.Server())

	read, err := c.Resource(t, before.GetAPIVersion(), before.GetKind(), namespace).Get(t.Context(), "before", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, before, read)
	c.Apply(t, namespace, fmt.Sprintf(provider, "after"))
	assert.Equal(t, "after", next())
}

func TestNamespaces(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	one, two := c.Namespace(t), c.Namespace(t)
	assert.NotEqual(t, one, two)
	const text = `
# Comments and empty documents are ignored.
---
apiVersion: v1
kind: ConfigMap
metadata: {name: held, finalizers: [example.com/held]}
data: {a: b}
---
---
apiVersion: v1
kind: ConfigMap
metadata: {name: plain}
`
	assert.Len(t, c.Apply(t, one, text), 2)
	c.Apply(t, two, text)
	c.DeleteNamespace(t, one)
	c.DeleteNamespace(t, one)
	_, err := c.Resource(t, "v1", "Namespace", "").Get(t.Context(), one, metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "%v", err)
	left, err := c.Resource(t, "v1", "ConfigMap", "").List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	var names []string
	for _, object := range left.Items {
		if namespace := object.GetNamespace(); namespace == one || namespace == two {
			names = append(names, namespace+"/"+object.GetName())
		}
	}
	assert.ElementsMatch(t, []string{two + "/held", two + "/plain"}, names)
}

// Applied text decides all fields that it had decided before; status has an owner
// of its own.
func TestApply(t *testing.T) {
	t.Parallel()
	c := cluster.Shared(t)
	namespace := c.Namespace(t)
	const head = "{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {name: apps"
	const spec = "}, spec: {interval: 1m, prune: true, sourceRef: {kind: GitRepository, name: apps}}}"
	c.Apply(t, namespace, head+", annotations: {a: '1', b: '2'}"+spec)
	c.ApplyStatus(t, namespace, head+"}, status: {lastAppliedRevision: main@sha1:1, conditions: [{type: Ready, status: 'True', reason: R, message: m, lastTransitionTime: '2026-01-02T03:04:05Z'}]}}")
	changed := c.Apply(t, namespace, head+", annotations: {b: '3'}"+spec)[0]
	assert.Equal(t, map[string]string{"b": "3"}, changed.GetAnnotations())
	revision, _, err := unstructured.NestedString(changed.Object, "status", "lastAppliedRevision")
	require.NoError(t, err)
	assert.Equal(t, "main@sha1:1", revision)
	c.Delete(t, namespace, head+"}}")
	c.Delete(t, namespace, head+"}}")
	_, err = c.Resource(t, changed.GetAPIVersion(), changed.GetKind(), namespace).Get(t.Context(), "apps", metav1.GetOptions{})
	assert.True(t, apierrors.IsNotFound(err), "%v", err)
}

var providers = schema.GroupVersionResource{Group: "notification.toolkit.fluxcd.io", Version: "v1beta3", Resource: "providers"}

func client(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	c, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	return c
}

func dynamicClient(t *testing.T, config *rest.Config) *dynamic.DynamicClient {
	t.Helper()
	c, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	return c
}

func byName(name string) metav1.ListOptions {
	return metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()}
}

// whoami is the name that the API server knows a client by.
func whoami(t *testing.T, config *rest.Config) string {
	t.Helper()
	review, err := client(t, config).AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	require.NoError(t, err)
	return review.Status.UserInfo.Username
}

// servedVersions are the versions of a CRD that clients can use.
func servedVersions(t *testing.T, definition *unstructured.Unstructured) []string {
	t.Helper()
	versions, _, err := unstructured.NestedSlice(definition.Object, "spec", "versions")
	require.NoError(t, err)
	var names []string
	for _, version := range versions {
		fields := version.(map[string]any)
		if fields["served"].(bool) {
			names = append(names, fields["name"].(string))
		}
	}
	return names
}
