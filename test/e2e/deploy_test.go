package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// deployment is what runs the collector in Kubernetes.
type deployment struct {
	account corev1.ServiceAccount
	config  corev1.ConfigMap
	service corev1.Service
	set     appsv1.StatefulSet
	policy  networkingv1.NetworkPolicy
}

// readDeployment reads the manifests as the API server does: an unknown field is
// an error.
func readDeployment(t *testing.T) deployment {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "kubernetes", "otelcol-flux.yaml"))
	require.NoError(t, err)
	var d deployment
	kinds := map[string]any{
		"v1 ServiceAccount": &d.account, "v1 ConfigMap": &d.config, "v1 Service": &d.service,
		"apps/v1 StatefulSet": &d.set, "networking.k8s.io/v1 NetworkPolicy": &d.policy,
	}
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var head struct{ APIVersion, Kind string }
		require.NoError(t, yaml.Unmarshal(document, &head))
		name := head.APIVersion + " " + head.Kind
		require.Contains(t, kinds, name)
		require.NoError(t, yaml.UnmarshalStrict(document, kinds[name]), name)
		delete(kinds, name)
	}
	require.Empty(t, kinds)
	return d
}

// What stands in it belongs together.
func TestDeploymentFits(t *testing.T) {
	t.Parallel()
	d := readDeployment(t)
	pod := d.set.Spec.Template
	for _, selector := range []map[string]string{d.service.Spec.Selector, d.set.Spec.Selector.MatchLabels, d.policy.Spec.PodSelector.MatchLabels} {
		assert.Equal(t, pod.Labels, selector)
	}
	for _, object := range []string{d.account.Namespace, d.config.Namespace, d.service.Namespace, d.set.Namespace, d.policy.Namespace} {
		assert.Equal(t, "flux-system", object)
	}
	assert.Equal(t, d.account.Name, pod.Spec.ServiceAccountName)
	assert.Equal(t, d.service.Name, d.set.Spec.ServiceName)
	container := pod.Spec.Containers[0]
	port := container.Ports[0]
	assert.Equal(t, int32(8787), port.ContainerPort)
	assert.Equal(t, port.Name, d.service.Spec.Ports[0].TargetPort.StrVal)
	assert.Equal(t, port.Name, d.policy.Spec.Ingress[0].Ports[0].Port.StrVal)
	assert.Equal(t, int32(8787), d.service.Spec.Ports[0].Port)

	there := map[string]bool{d.set.Spec.VolumeClaimTemplates[0].Name: true}
	for _, volume := range pod.Spec.Volumes {
		there[volume.Name] = true
		if volume.ConfigMap != nil {
			assert.Equal(t, d.config.Name, volume.ConfigMap.Name)
		}
	}
	for _, mount := range container.VolumeMounts {
		assert.True(t, there[mount.Name], mount.Name)
	}
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	assert.Contains(t, string(readme), d.service.Name+"."+d.service.Namespace+":8787", "where Flux is pointed at")
}

// It is hardened as SECURITY.md lists.
func TestDeploymentIsHardened(t *testing.T) {
	t.Parallel()
	d := readDeployment(t)
	pod := d.set.Spec.Template.Spec
	container := pod.Containers[0]
	assert.False(t, *d.account.AutomountServiceAccountToken)
	assert.False(t, *pod.AutomountServiceAccountToken)
	assert.True(t, *pod.SecurityContext.RunAsNonRoot)
	assert.NotZero(t, *pod.SecurityContext.RunAsUser)
	assert.NotZero(t, *pod.SecurityContext.FSGroup)
	assert.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type)
	assert.False(t, *container.SecurityContext.AllowPrivilegeEscalation)
	assert.True(t, *container.SecurityContext.ReadOnlyRootFilesystem)
	assert.Equal(t, []corev1.Capability{"ALL"}, container.SecurityContext.Capabilities.Drop)
	assert.False(t, container.Resources.Limits.Memory().IsZero())
	for _, volume := range pod.Volumes {
		if volume.Secret != nil {
			assert.Equal(t, int32(0o440), *volume.Secret.DefaultMode, volume.Name)
		}
	}
	for _, mount := range container.VolumeMounts {
		assert.Equal(t, mount.Name != d.set.Spec.VolumeClaimTemplates[0].Name, mount.ReadOnly, mount.Name)
	}
	assert.Equal(t, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}, d.policy.Spec.PolicyTypes)
}

// The collector takes the configuration, with the mounted folders in the place of
// those of the pod, and answers the probe.
func TestDeployedConfiguration(t *testing.T) {
	t.Parallel()
	d := readDeployment(t)
	c := newCollector(t)
	text := strings.Replace(d.config.Data["collector.yaml"], "0.0.0.0:8787", c.events, 1)
	for _, mount := range d.set.Spec.Template.Spec.Containers[0].VolumeMounts {
		dir := t.TempDir()
		if mount.Name == "slack" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), []byte(c.Secret("token", "xoxb-5ecr3t")), 0o600))
		}
		text = strings.ReplaceAll(text, mount.MountPath, dir)
	}
	require.NotContains(t, text, "/secrets/")
	require.NoError(t, os.WriteFile(c.config, []byte(text), 0o600))
	printed, code := c.Run("validate", "--config", c.config)
	assert.Zero(t, code, printed)
	c.Again()
	probe := d.set.Spec.Template.Spec.Containers[0].ReadinessProbe.HTTPGet
	res, err := client.Get("http://" + c.events + probe.Path)
	require.NoError(t, err)
	assert.NoError(t, res.Body.Close())
	assert.Equal(t, 200, res.StatusCode)
}
