// Package kubernetes reads Providers, Alerts and their Secrets from the Kubernetes API,
// and follows their changes.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fluxnotify/otelcol-flux/internal/source"
)

// The values of Options.AuthType, as in k8sconfig of the collector's contrib
// distribution.
const (
	AuthServiceAccount = "serviceAccount"
	AuthKubeConfig     = "kubeConfig"
	AuthNone           = "none"
)

// Options configures a Source.
type Options struct {
	// AuthType is one of serviceAccount, kubeConfig and none. Default: serviceAccount.
	AuthType string
	// Context is the context of the kubeconfig. Default: its current context.
	Context string
	// KubeConfigPath is the kubeconfig. Default: KUBECONFIG, then ~/.kube/config.
	KubeConfigPath string
	// Namespaces are those of the Providers and Alerts. Default: all.
	Namespaces []string
	// NoCrossNamespaceRefs restricts an Alert to the objects of its own namespace.
	NoCrossNamespaceRefs bool
	// Events reports the faults of Providers and Alerts as Kubernetes Events.
	Events bool
	// State keeps the last Providers and Alerts. Optional.
	State State
	// Logger is required, and so is Translator.
	Logger     *zap.Logger
	Translator Translator
	// UserAgent is sent with each request. Default: that of client-go.
	UserAgent string
}

// State is a storage for a few megabytes.
type State interface {
	// Load returns nil if nothing was saved.
	Load(ctx context.Context) ([]byte, error)
	Save(ctx context.Context, data []byte) error
}

// Objects are all objects that a source has read.
type Objects struct {
	// Providers and Alerts are sorted by namespace and name. They have apiVersion, kind,
	// spec, and of metadata name, namespace, uid and the annotations of this product.
	Providers, Alerts []map[string]any
	// Secrets are those that the Providers name, with their data decoded.
	Secrets map[types.NamespacedName]map[string][]byte
	// MissingSecrets are the named Secrets without data. The text continues the words
	// "the Secret apps/slack": "does not exist".
	MissingSecrets map[types.NamespacedName]string
}

// Translator makes targets from objects. It must not change the objects, and may keep
// the data of Secrets.
type Translator interface {
	Translate(objects Objects, noCrossNamespaceRefs bool) source.Set
}

// Check finds settings that can never work.
func (o Options) Check() error {
	var errs []error
	switch o.AuthType {
	case "", AuthServiceAccount, AuthNone:
		if o.Context != "" || o.KubeConfigPath != "" {
			errs = append(errs, errors.New("context: is used with auth_type kubeConfig only"))
		}
	case AuthKubeConfig:
	default:
		errs = append(errs, fmt.Errorf("auth_type: %q is not one of %s, %s, %s", o.AuthType, AuthServiceAccount, AuthKubeConfig, AuthNone))
	}
	for i, namespace := range o.Namespaces {
		if len(validation.IsDNS1123Label(namespace)) > 0 {
			errs = append(errs, fmt.Errorf("namespaces::%d: %q is not the name of a namespace", i, namespace))
		}
	}
	return errors.Join(errs...)
}

// namespaces are the namespaces to read: one empty name stands for all.
func (o *Options) namespaces() []string {
	if len(o.Namespaces) == 0 {
		return []string{""}
	}
	namespaces := slices.Clone(o.Namespaces)
	slices.Sort(namespaces)
	return slices.Compact(namespaces)
}

// config is the configuration of the clients.
func (o *Options) config() (*rest.Config, error) {
	config, err := o.authConfig()
	if err != nil {
		return nil, err
	}
	if o.UserAgent != "" {
		config.UserAgent = o.UserAgent
	}
	config.QPS = -1 // the package has limits of its own
	config.WarningHandler = rest.NoWarnings{}
	return config, nil
}

func (o *Options) authConfig() (*rest.Config, error) {
	switch o.AuthType {
	case AuthKubeConfig:
		rules := clientcmd.NewDefaultClientConfigLoadingRules()
		rules.ExplicitPath = o.KubeConfigPath
		overrides := &clientcmd.ConfigOverrides{CurrentContext: o.Context}
		config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
		if err != nil {
			return nil, fmt.Errorf("auth_type: kubeConfig: %w", err)
		}
		return config, nil
	case AuthNone:
		host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
		if host == "" || port == "" {
			return nil, errors.New("auth_type: none: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be set")
		}
		config := &rest.Config{Host: "https://" + net.JoinHostPort(host, port), Proxy: noProxy}
		config.Insecure = true
		return config, nil
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("auth_type: serviceAccount: %w", err)
	}
	config.Proxy = noProxy
	return config, nil
}

// noProxy ignores HTTPS_PROXY, because the API server is inside the cluster.
func noProxy(*http.Request) (*url.URL, error) { return nil, nil }

// inNamespace completes a text: "Providers", or "Providers of namespace apps".
func inNamespace(text, namespace string) string {
	if namespace == "" {
		return text
	}
	return strings.Join([]string{text, "of namespace", namespace}, " ")
}
