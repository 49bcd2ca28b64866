package kubernetes

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/fluxnotify/otelcol-flux/internal/source"
)

// FluxTranslator makes targets of Flux's Providers and Alerts. The zero value is ready to
// use.
type FluxTranslator struct{ translator source.Translator }

var _ Translator = (*FluxTranslator)(nil)

// Translate implements Translator.
func (t *FluxTranslator) Translate(objects Objects, noCrossNamespaceRefs bool) source.Set {
	return t.translator.Translate(source.Objects{
		Providers: objects.Providers, Alerts: objects.Alerts,
		Secrets: byRef(objects.Secrets), Missing: byRef(objects.MissingSecrets),
	}, noCrossNamespaceRefs)
}

func byRef[T any](values map[types.NamespacedName]T) map[source.SecretRef]T {
	refs := make(map[source.SecretRef]T, len(values))
	for name, value := range values {
		refs[source.SecretRef{Namespace: name.Namespace, Name: name.Name}] = value
	}
	return refs
}
