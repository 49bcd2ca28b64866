package cluster

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Server is the URL of the API server.
func (c *Cluster) Server() string { return c.server }

// CA is the PEM of the certificate that the API server's certificate was issued
// with.
func (c *Cluster) CA() []byte { return c.authority.pem }

// Admin is the configuration of a client that may do everything.
func (c *Cluster) Admin() *rest.Config { return rest.CopyConfig(c.admin) }

// User is the configuration of a client that has the certificate of a user. RBAC
// decides what it may do.
func (c *Cluster) User(t *testing.T, name string, groups ...string) *rest.Config {
	t.Helper()
	config, err := c.userConfig(name, groups)
	require.NoError(t, err)
	return config
}

func (c *Cluster) userConfig(name string, groups []string) (*rest.Config, error) {
	certificate, key, err := c.authority.client(name, groups)
	config := c.anonymous()
	config.CertData, config.KeyData = certificate, key
	return config, err
}

// ServiceAccount is the configuration of a client that has a token of a
// ServiceAccount, which is created if it does not exist. The token is valid for
// an hour.
func (c *Cluster) ServiceAccount(t *testing.T, namespace, name string) *rest.Config {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := c.typed.CoreV1().ServiceAccounts(namespace).Create(t.Context(), account, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		require.NoError(t, err)
	}
	config := c.anonymous()
	config.BearerToken = c.Token(t, namespace, name, time.Hour)
	return config
}

// Token requests a token of an existing ServiceAccount. Kubernetes issues none
// for less than ten minutes.
func (c *Cluster) Token(t *testing.T, namespace, name string, lifetime time.Duration) string {
	t.Helper()
	seconds := int64(lifetime.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	issued, err := c.typed.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), name, request, metav1.CreateOptions{})
	require.NoError(t, err)
	return issued.Status.Token
}

// anonymous has no credentials, and no rate limit of client-go.
func (c *Cluster) anonymous() *rest.Config {
	return &rest.Config{Host: c.server, TLSClientConfig: rest.TLSClientConfig{CAData: c.authority.pem}, QPS: -1}
}

// Kubeconfig writes a client's configuration to a file, and returns its path.
func (c *Cluster) Kubeconfig(t *testing.T, config *rest.Config) string {
	t.Helper()
	const name = "test"
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters[name] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	kubeconfig.AuthInfos[name] = &clientcmdapi.AuthInfo{
		Token:                 config.BearerToken,
		TokenFile:             config.BearerTokenFile,
		ClientCertificateData: config.CertData,
		ClientKeyData:         config.KeyData,
	}
	kubeconfig.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	kubeconfig.CurrentContext = name
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*kubeconfig, path))
	return path
}
