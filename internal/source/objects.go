package source

import (
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/fluxmanifest"
)

// SecretRef refers to a Secret.
type SecretRef = fluxmanifest.SecretRef

// Objects are objects of the Kubernetes API.
type Objects struct {
	// Providers and Alerts are in the form that the API gives (unstructured).
	Providers, Alerts []map[string]any
	// Secrets are those that Providers refer to, as far as they could be read.
	Secrets map[SecretRef]map[string][]byte
	// Missing says why the others could not be read: "does not exist".
	Missing map[SecretRef]string
}

// Translator makes sets out of objects. It remembers what it has made: what has not
// changed is not checked again. The zero value is ready to use.
type Translator struct{ maker SetMaker }

// Translate makes a set. It does not change the objects.
func (t *Translator) Translate(objects Objects, noCrossNamespaceRefs bool) Set {
	manifests := fluxmanifest.New()
	for _, list := range [][]map[string]any{objects.Providers, objects.Alerts} {
		for _, object := range list {
			manifests.AddObject(object)
		}
	}
	for ref, data := range objects.Secrets {
		manifests.AddSecret(ref.Namespace, ref.Name, data)
	}
	set := t.maker.Set(manifests.Results(fluxmanifest.Options{NoCrossNamespaceRefs: noCrossNamespaceRefs, Labels: true}))
	for i := range set.Targets {
		explainMissing(set.Targets[i].Faults, objects.Missing)
	}
	return set
}

// explainMissing says why a Secret could not be read.
func explainMissing(faults []Fault, missing map[SecretRef]string) {
	const absent = "there is no Secret "
	for i := range faults {
		name, found := strings.CutPrefix(faults[i].Text, absent+faults[i].Namespace+"/")
		if !found {
			continue
		}
		name, _, _ = strings.Cut(name, " ")
		if why := missing[SecretRef{Namespace: faults[i].Namespace, Name: name}]; why != "" {
			faults[i].Text = "the Secret " + faults[i].Namespace + "/" + name + " " + why
		}
	}
}
