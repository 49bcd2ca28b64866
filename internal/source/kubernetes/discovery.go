package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

const (
	notificationGroup = "notification.toolkit.fluxcd.io"
	kindProvider      = "Provider"
	kindAlert         = "Alert"
	kindSecret        = "Secret"
)

// understood are the versions of Provider and Alert, the preferred one first.
var understood = []string{"v1", "v1beta3", "v1beta2", "v1beta1"}

// kindsLifetime is how long the kinds of Flux are remembered.
const kindsLifetime = 10 * time.Second

// discovery finds the resources of kinds. It reads only the API groups of Flux.
type discovery struct {
	client  rest.Interface
	limiter *rate.Limiter

	// The mutexes are held during requests, so that equal requests are made once.
	notificationMu sync.Mutex
	notification   map[string]schema.GroupVersionResource
	kindsMu        sync.Mutex
	kinds          map[string]schema.GroupVersionResource
	kindsAt        time.Time
}

// findNotification finds the resource of Provider or Alert.
func (d *discovery) findNotification(ctx context.Context, kind string) (schema.GroupVersionResource, error) {
	d.notificationMu.Lock()
	defer d.notificationMu.Unlock()
	if found, ok := d.notification[kind]; ok {
		return found, nil
	}
	var group metav1.APIGroup
	err := d.get(ctx, "/apis/"+notificationGroup, &group)
	if err != nil && !apierrors.IsNotFound(err) {
		return schema.GroupVersionResource{}, err
	}
	found := map[string]schema.GroupVersionResource{}
	for _, version := range understood {
		served := func(v metav1.GroupVersionForDiscovery) bool { return v.Version == version }
		if !slices.ContainsFunc(group.Versions, served) {
			continue
		}
		if err := d.addResources(ctx, schema.GroupVersion{Group: notificationGroup, Version: version}, found); err != nil {
			return schema.GroupVersionResource{}, err
		}
	}
	if _, ok := found[kind]; !ok {
		return schema.GroupVersionResource{}, fmt.Errorf("%s of %s in the versions %s: %w", kind, notificationGroup, strings.Join(understood, ", "), errNotServed)
	}
	d.notification = found
	return found[kind], nil
}

// forgetNotification makes the next call of findNotification ask again. The versions
// that are served may have changed.
func (d *discovery) forgetNotification() {
	d.notificationMu.Lock()
	defer d.notificationMu.Unlock()
	d.notification = nil
}

// findKind finds the resource of one of Flux's kinds.
func (d *discovery) findKind(ctx context.Context, kind string) (schema.GroupVersionResource, error) {
	kinds, err := d.fluxKinds(ctx)
	if err != nil {
		return schema.GroupVersionResource{}, err
	}
	found, ok := kinds[kind]
	if !ok {
		return found, fmt.Errorf("the kind %s of Flux: %w", kind, errNotServed)
	}
	return found, nil
}

// fluxKinds finds all kinds of Flux and of the projects that extend it. The result must
// not be changed.
func (d *discovery) fluxKinds(ctx context.Context) (map[string]schema.GroupVersionResource, error) {
	d.kindsMu.Lock()
	defer d.kindsMu.Unlock()
	if time.Since(d.kindsAt) < kindsLifetime {
		return d.kinds, nil
	}
	var groups metav1.APIGroupList
	if err := d.get(ctx, "/apis", &groups); err != nil {
		return nil, err
	}
	found := map[string]schema.GroupVersionResource{}
	for _, group := range groups.Groups {
		if !isFlux(group.Name) {
			continue
		}
		for _, version := range group.Versions { // the preferred one first
			if err := d.addResources(ctx, schema.GroupVersion{Group: group.Name, Version: version.Version}, found); err != nil {
				return nil, err
			}
		}
	}
	d.kinds, d.kindsAt = found, time.Now()
	return found, nil
}

// isFlux selects source.toolkit.fluxcd.io, source.extensions.fluxcd.io,
// infra.contrib.fluxcd.io, fluxcd.controlplane.io and the like.
func isFlux(group string) bool {
	return strings.HasSuffix(group, ".fluxcd.io") || group == "fluxcd.controlplane.io"
}

// addResources adds the kinds of a version that can be watched, unless another version
// has them.
func (d *discovery) addResources(ctx context.Context, version schema.GroupVersion, to map[string]schema.GroupVersionResource) error {
	var list metav1.APIResourceList
	if err := d.get(ctx, "/apis/"+version.String(), &list); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	}
	for _, r := range list.APIResources {
		watchable := slices.Contains(r.Verbs, "list") && slices.Contains(r.Verbs, "watch")
		if _, ok := to[r.Kind]; ok || !watchable || !r.Namespaced || strings.Contains(r.Name, "/") {
			continue
		}
		to[r.Kind] = version.WithResource(r.Name)
	}
	return nil
}

func (d *discovery) get(ctx context.Context, path string, into any) error {
	if err := d.limiter.Wait(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	data, err := d.client.Get().AbsPath(path).SetHeader("Accept", "application/json").Do(ctx).Raw()
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
