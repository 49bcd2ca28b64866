// Package cluster runs a real Kubernetes API server, with etcd and RBAC, on the
// loopback interface. There is no controller manager, scheduler or node: objects
// are stored and served, and nothing acts on them.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/dynamic"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/fluxnotify/otelcol-flux/test/kubernetes/process"
	"github.com/fluxnotify/otelcol-flux/test/kubernetes/programs"
)

const (
	// startTimeout is long, because the machine may be busy.
	startTimeout = 2 * time.Minute
	// stopTimeout is the grace period of the API server.
	stopTimeout = 10 * time.Second
	tick        = 20 * time.Millisecond
)

// Options configures a cluster.
type Options struct {
	// NoCRDs leaves out the CRDs of Flux. InstallCRDs adds them later.
	NoCRDs bool
	// Flags are added to the flags of kube-apiserver.
	Flags []string
}

// Cluster is a running API server. Methods with a *testing.T must be called from
// the goroutine of the test, all others may be called from any goroutine.
type Cluster struct {
	folder    string
	cache     *programs.Cache
	authority *authority
	server    string // the URL of the API server
	command   process.Spec

	admin   *rest.Config
	typed   *clientset.Clientset
	dynamic *dynamic.DynamicClient
	mapper  *mapper

	shared bool

	mu     sync.Mutex
	etcd   *process.Process
	api    *process.Process // nil while it is stopped
	closed bool
}

// New starts a cluster. Close stops it. Tests call Start or Shared instead.
func New(ctx context.Context, options Options) (*Cluster, error) {
	cache, err := programs.Open()
	if err != nil {
		return nil, err
	}
	if err := cache.Ready(); err != nil {
		return nil, err
	}
	// Another process can bind a port first.
	for range 3 {
		var c *Cluster
		c, err = start(ctx, cache, options)
		if err == nil {
			return c, nil
		}
		if !strings.Contains(err.Error(), "address already in use") {
			break
		}
	}
	return nil, err
}

func start(ctx context.Context, cache *programs.Cache, options Options) (_ *Cluster, err error) {
	c, err := open(cache)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	etcd, err := c.startEtcd()
	if err != nil {
		return nil, err
	}
	if err := c.configure(etcd, options.Flags); err != nil {
		return nil, err
	}
	if err := c.connect(); err != nil {
		return nil, err
	}
	if err := c.startAPIServer(ctx); err != nil {
		return nil, err
	}
	if options.NoCRDs {
		return c, nil
	}
	return c, c.installCRDs(ctx)
}

// startEtcd returns the URL of etcd.
func (c *Cluster) startEtcd() (string, error) {
	path, err := programs.Etcd()
	if err != nil {
		return "", err
	}
	clients, err := process.FreePort()
	if err != nil {
		return "", err
	}
	peers, err := process.FreePort()
	if err != nil {
		return "", err
	}
	clientURL, peerURL := "http://"+process.Loopback(clients), "http://"+process.Loopback(peers)
	folder := filepath.Join(c.folder, "etcd")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return "", errClosed
	}
	c.etcd, err = process.Start(process.Spec{
		Path: path,
		Dir:  folder,
		Args: []string{
			"--name=default",
			"--logger=zap",
			"--data-dir=" + filepath.Join(folder, "data"),
			"--listen-client-urls=" + clientURL,
			"--advertise-client-urls=" + clientURL,
			"--listen-peer-urls=" + peerURL,
			"--initial-advertise-peer-urls=" + peerURL,
			"--initial-cluster=default=" + peerURL,
			"--unsafe-no-fsync", // the data ends with the test
		},
	})
	return clientURL, err
}

// configure prepares the command of the API server, which is the same for each of
// its starts.
func (c *Cluster) configure(etcd string, flags []string) error {
	port, err := process.FreePort()
	if err != nil {
		return err
	}
	c.server = "https://" + process.Loopback(port)
	if c.authority, err = newAuthority(); err != nil {
		return err
	}
	certificate, key, err := c.authority.server()
	if err != nil {
		return err
	}
	public, private, err := signingKey()
	if err != nil {
		return err
	}
	folder := filepath.Join(c.folder, "kube-apiserver")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	file := func(name string) string { return filepath.Join(folder, name) }
	for name, content := range map[string][]byte{
		"ca.crt": c.authority.pem, "tls.crt": certificate, "tls.key": key, "tokens.pub": public, "tokens.key": private,
	} {
		if err := os.WriteFile(file(name), content, 0o600); err != nil {
			return err
		}
	}
	c.command = process.Spec{
		Path: c.cache.APIServer(),
		Dir:  folder,
		Args: append([]string{
			"--etcd-servers=" + etcd,
			"--bind-address=127.0.0.1",
			"--advertise-address=127.0.0.1",
			"--secure-port=" + strconv.Itoa(port),
			"--endpoint-reconciler-type=none", // it would refuse a loopback address
			"--service-cluster-ip-range=10.0.0.0/24",
			"--tls-cert-file=" + file("tls.crt"),
			"--tls-private-key-file=" + file("tls.key"),
			"--client-ca-file=" + file("ca.crt"),
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + file("tokens.pub"),
			"--service-account-signing-key-file=" + file("tokens.key"),
			"--authorization-mode=RBAC",
			// It refuses Pods in a namespace until a controller has created the
			// namespace's default ServiceAccount.
			"--disable-admission-plugins=ServiceAccount",
			// Without it, open watches keep the API server from stopping.
			"--shutdown-watch-termination-grace-period=1s",
		}, flags...),
	}
	return nil
}

// connect makes the clients of the administrator.
func (c *Cluster) connect() (err error) {
	if c.admin, err = c.userConfig("admin", []string{"system:masters"}); err != nil {
		return err
	}
	c.admin.WarningHandler = rest.NoWarnings{}
	if c.typed, err = clientset.NewForConfig(c.admin); err != nil {
		return err
	}
	if c.dynamic, err = dynamic.NewForConfig(c.admin); err != nil {
		return err
	}
	c.mapper = newMapper(c.typed.Discovery())
	return nil
}

// startAPIServer returns when the API server is ready.
func (c *Cluster) startAPIServer(ctx context.Context) error {
	etcd, api, err := c.launchAPIServer()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := c.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-api.Done():
			return api.Failure()
		case <-etcd.Done():
			return etcd.Failure()
		case <-ctx.Done():
			return fmt.Errorf("the API server is not ready: %w:\n%s", err, api.Tail())
		case <-time.After(tick):
		}
	}
}

func (c *Cluster) launchAPIServer() (etcd, api *process.Process, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, errClosed
	}
	if c.api != nil {
		return nil, nil, errors.New("the API server is already running")
	}
	c.api, err = process.Start(c.command)
	return c.etcd, c.api, err
}

func (c *Cluster) ready(ctx context.Context) error {
	for _, path := range []string{"/readyz", "/api/v1/namespaces/default"} {
		if err := c.typed.Discovery().RESTClient().Get().AbsPath(path).Do(ctx).Error(); err != nil {
			return err
		}
	}
	return nil
}

// stopAPIServer returns when the API server has ended. etcd keeps its objects.
func (c *Cluster) stopAPIServer() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.api == nil {
		return errors.New("the API server is not running")
	}
	c.api.Stop(stopTimeout)
	c.api = nil
	return nil
}

var errClosed = errors.New("the cluster is closed")

// live are the clusters that are not closed.
var live = struct {
	sync.Mutex
	clusters map[*Cluster]bool
	ended    bool
}{clusters: map[*Cluster]bool{}}

// open creates the folder of a cluster.
func open(cache *programs.Cache) (*Cluster, error) {
	live.Lock()
	defer live.Unlock()
	if live.ended {
		return nil, errClosed
	}
	folder, err := os.MkdirTemp("", "cluster-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{folder: folder, cache: cache}
	live.clusters[c] = true
	return c, nil
}

// closeAll closes all clusters, and those that are about to start. New starts no
// others.
func closeAll() {
	live.Lock()
	live.ended = true
	clusters := slices.Collect(maps.Keys(live.clusters))
	live.Unlock()
	for _, c := range clusters {
		_ = c.Close()
	}
}

// Close stops the cluster and removes its folder.
func (c *Cluster) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	// No data is kept, so both are killed. The API server is first, because it does
	// not work without etcd.
	if c.api != nil {
		c.api.Kill()
		c.api = nil
	}
	if c.etcd != nil {
		c.etcd.Kill()
		c.etcd = nil
	}
	live.Lock()
	delete(live.clusters, c)
	live.Unlock()
	return os.RemoveAll(c.folder)
}

// tail is the end of the programs' logs.
func (c *Cluster) tail() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var text string
	if c.api != nil {
		text += "kube-apiserver:\n" + c.api.Tail()
	}
	if c.etcd != nil {
		text += "\netcd:\n" + c.etcd.Tail()
	}
	return text
}
