// Package programs builds the programs and CRDs that the tests need. They are
// kept in a cache outside the checkout, because kube-apiserver takes minutes to
// build. Each entry of the cache has its version in its name.
package programs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
)

const (
	kubernetes          = "k8s.io/kubernetes"
	controllerTools     = "sigs.k8s.io/controller-tools"
	notificationAPI     = "github.com/fluxcd/notification-controller/api"
	sourceController    = "github.com/fluxcd/source-controller"
	kustomizeController = "github.com/fluxcd/kustomize-controller"
)

// Cache is the folder of the programs and CRDs.
type Cache struct {
	folder  string
	module  string            // the folder of test/kubernetes
	version map[string]string // by path of a module
	run     runner
}

// Open finds the cache. Set KUBE_CACHE to choose another folder.
func Open() (*Cache, error) {
	module, err := moduleFolder()
	if err != nil {
		return nil, err
	}
	folder, err := cacheFolder()
	if err != nil {
		return nil, err
	}
	c := &Cache{folder: folder, module: module, version: map[string]string{}, run: run}
	for file, required := range map[string][]string{
		"tools/go.mod":            {kubernetes},
		"tools/crds/go.mod":       {controllerTools, notificationAPI},
		"flux-controllers/go.mod": {sourceController, kustomizeController},
	} {
		if err := c.read(file, required); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// moduleFolder is test/kubernetes. Tests run in the folder of their package.
func moduleFolder() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		if exists(filepath.Join(folder, "flux-controllers", "go.mod")) {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("%s is not in test/kubernetes", start)
		}
	}
}

func cacheFolder() (string, error) {
	if folder := os.Getenv("KUBE_CACHE"); folder != "" {
		return filepath.Abs(folder)
	}
	if folder := os.Getenv("XDG_CACHE_HOME"); folder != "" {
		return filepath.Join(folder, "fluxnotify-test"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder, set KUBE_CACHE: %w", err)
	}
	return filepath.Join(home, ".cache", "fluxnotify-test"), nil
}

// read reads the versions of required modules.
func (c *Cache) read(file string, required []string) error {
	path := filepath.Join(c.module, file)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	parsed, err := modfile.Parse(path, text, nil)
	if err != nil {
		return err
	}
	for _, r := range parsed.Require {
		c.version[r.Mod.Path] = r.Mod.Version
	}
	for _, module := range required {
		if c.version[module] == "" {
			return fmt.Errorf("%s does not require %s", path, module)
		}
	}
	return nil
}

// APIServer is the path of kube-apiserver.
func (c *Cache) APIServer() string { return filepath.Join(c.kubernetes(), "kube-apiserver") }

func (c *Cache) kubernetes() string {
	return filepath.Join(c.folder, "kubernetes-"+c.version[kubernetes])
}

// FluxControllers is the folder of source-controller and kustomize-controller.
func (c *Cache) FluxControllers() string {
	return filepath.Join(c.folder, "flux-controllers-"+c.version[sourceController]+"-"+c.version[kustomizeController])
}

// CRDs are the folders of Flux's CRDs.
func (c *Cache) CRDs() []string {
	return []string{c.notificationCRDs(), c.controllerCRDs(sourceController), c.controllerCRDs(kustomizeController)}
}

func (c *Cache) notificationCRDs() string {
	return filepath.Join(c.folder, "notification-crds-"+c.version[notificationAPI]+"-"+c.version[controllerTools])
}

func (c *Cache) controllerCRDs(module string) string {
	return filepath.Join(c.folder, filepath.Base(module)+"-crds-"+c.version[module])
}

// The errors of Ready say what to do.
var (
	ErrNoEtcd   = errors.New("etcd is not installed: install etcd-server, then run make test-kubernetes once")
	ErrNotBuilt = errors.New("run make test-kubernetes once to build the API server")
)

// Etcd is the path of etcd.
func Etcd() (string, error) {
	path, err := exec.LookPath("etcd")
	if err != nil {
		return "", ErrNoEtcd
	}
	return path, nil
}

// Ready returns an error if something is missing that a cluster needs.
func (c *Cache) Ready() error {
	if _, err := Etcd(); err != nil {
		return err
	}
	for _, path := range append(c.CRDs(), c.kubernetes()) {
		if !exists(path) {
			return ErrNotBuilt
		}
	}
	return nil
}

// Build builds the programs and CRDs of a cluster that are not in the cache.
func (c *Cache) Build(ctx context.Context, progress io.Writer) error {
	if _, err := Etcd(); err != nil {
		return err
	}
	if err := c.build(ctx, progress, c.notificationCRDs(), c.generateCRDs); err != nil {
		return err
	}
	for _, module := range []string{sourceController, kustomizeController} {
		if err := c.build(ctx, progress, c.controllerCRDs(module), func(ctx context.Context, target string) error {
			return c.copyCRDs(ctx, module, target)
		}); err != nil {
			return err
		}
	}
	return c.build(ctx, progress, c.kubernetes(), c.buildAPIServer)
}

// BuildFlux builds the Flux controllers if they are not in the cache.
func (c *Cache) BuildFlux(ctx context.Context, progress io.Writer) error {
	return c.build(ctx, progress, c.FluxControllers(), c.buildControllers)
}

// build makes one entry of the cache, if it is missing. An entry appears only when
// it is complete, and only one process builds at a time.
func (c *Cache) build(ctx context.Context, progress io.Writer, target string, build func(ctx context.Context, target string) error) error {
	if exists(target) {
		return nil
	}
	if err := os.MkdirAll(c.folder, 0o750); err != nil {
		return err
	}
	unlock, err := lock(ctx, progress, filepath.Join(c.folder, ".lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if exists(target) {
		return nil
	}
	partial := target + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(progress, "building %s\n", target)
	if err := build(ctx, partial); err != nil {
		_ = os.RemoveAll(partial)
		return fmt.Errorf("building %s: %w", filepath.Base(target), err)
	}
	return os.Rename(partial, target)
}

func (c *Cache) buildAPIServer(ctx context.Context, target string) error {
	version := c.version[kubernetes]
	major, minor, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	const variable = " -X k8s.io/component-base/version."
	flags := variable + "gitVersion=" + version + variable + "gitMajor=" + major + variable + "gitMinor=" + minor
	return c.compile(ctx, "tools", target, flags, kubernetes+"/cmd/kube-apiserver")
}

func (c *Cache) buildControllers(ctx context.Context, target string) error {
	return c.compile(ctx, "flux-controllers", target, "", sourceController, kustomizeController)
}

// compile compiles packages with the versions of a module into a folder.
func (c *Cache) compile(ctx context.Context, module, target, flags string, packages ...string) error {
	if err := os.MkdirAll(target, 0o750); err != nil {
		return err
	}
	arguments := []string{"build", "-trimpath", "-ldflags", "-s -w" + flags, "-o", target + "/"}
	_, err := c.run(ctx, filepath.Join(c.module, module), "go", append(arguments, packages...)...)
	return err
}

func (c *Cache) generateCRDs(ctx context.Context, target string) error {
	_, err := c.run(ctx, filepath.Join(c.module, "tools", "crds"), "go", "tool", "controller-gen", "crd", "paths="+notificationAPI+"/...", "output:crd:dir="+target)
	return err
}

func (c *Cache) copyCRDs(ctx context.Context, module, target string) error {
	folder := filepath.Join(c.module, "flux-controllers")
	if _, err := c.run(ctx, folder, "go", "mod", "download", module); err != nil {
		return err
	}
	source, err := c.run(ctx, folder, "go", "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return err
	}
	return os.CopyFS(target, os.DirFS(filepath.Join(strings.TrimSpace(source), "config", "crd", "bases")))
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// runner runs a command in a folder and returns its standard output.
type runner func(ctx context.Context, folder, name string, arguments ...string) (string, error)

func run(ctx context.Context, folder, name string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, name, arguments...) //nolint:gosec // all commands are in this file
	command.Dir = folder
	command.Env = append(os.Environ(), "GOWORK=off")
	command.Stderr = os.Stderr
	output, err := command.Output()
	return string(output), err
}
