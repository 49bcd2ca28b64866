package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

const (
	// stateVersion is the version of the saved format.
	stateVersion = 1
	// saveInterval is the shortest time between two saves.
	saveInterval = 5 * time.Second
	// stateTimeout bounds one call of the storage.
	stateTimeout = 5 * time.Second
)

// saved is the last good state. It has no Secrets.
type saved struct {
	Version   int              `json:"version"`
	Providers []map[string]any `json:"providers"`
	Alerts    []map[string]any `json:"alerts"`
}

// keeper loads the last good state, and saves the present one.
type keeper struct {
	state State
	log   *zap.Logger

	next    []byte // to be saved
	last    []byte
	savedAt time.Time
}

// load returns nil if there is no usable state.
func (k *keeper) load(ctx context.Context, namespaces []string) *saved {
	if k.state == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	data, err := k.state.Load(ctx)
	if err != nil {
		k.log.Warn("cannot load the last Providers and Alerts from the storage", zap.Error(err))
		return nil
	}
	if data == nil {
		return nil
	}
	var s saved
	if err := utiljson.Unmarshal(data, &s); err != nil || s.Version != stateVersion {
		if err == nil {
			err = fmt.Errorf("version %d is not %d", s.Version, stateVersion)
		}
		k.log.Warn("the last Providers and Alerts in the storage cannot be used", zap.Error(err))
		return nil
	}
	k.last = data
	if namespaces[0] != "" {
		other := func(object map[string]any) bool { return !slices.Contains(namespaces, identity(object).Namespace) }
		s.Providers, s.Alerts = slices.DeleteFunc(s.Providers, other), slices.DeleteFunc(s.Alerts, other)
	}
	return &s
}

// of returns the saved objects of a kind, in one namespace or in all.
func (s *saved) of(kind, namespace string) []map[string]any {
	from := s.Alerts
	if kind == kindProvider {
		from = s.Providers
	}
	var found []map[string]any
	for _, object := range from {
		if namespace == "" || identity(object).Namespace == namespace {
			found = append(found, object)
		}
	}
	return found
}

// keep saves the objects soon. It returns after which time save must be called.
func (k *keeper) keep(providers, alerts []map[string]any) {
	if k.state == nil {
		return
	}
	data, err := json.Marshal(saved{Version: stateVersion, Providers: providers, Alerts: alerts})
	if err != nil {
		k.log.Warn("cannot encode the Providers and Alerts for the storage", zap.Error(err))
		return
	}
	k.next = nil
	if string(data) != string(k.last) {
		k.next = data
	}
}

// due is the time until the next save, and false if there is nothing to save.
func (k *keeper) due(now time.Time) (time.Duration, bool) {
	return max(0, k.savedAt.Add(saveInterval).Sub(now)), k.next != nil
}

func (k *keeper) save(ctx context.Context) {
	if k.next == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	k.savedAt = time.Now()
	if err := k.state.Save(ctx, k.next); err != nil {
		k.log.Warn("cannot save the Providers and Alerts in the storage", zap.Error(err))
		return
	}
	k.last, k.next = k.next, nil
}
