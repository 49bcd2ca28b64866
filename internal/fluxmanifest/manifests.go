// Package fluxmanifest reads Flux's Providers, Alerts and Secrets, from files or from the
// Kubernetes API, and makes settings of them. A faulty object disables itself only.
package fluxmanifest

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Manifests are the objects of some files, or of a cluster.
type Manifests struct {
	paths  []string // that were read
	files  []*File
	faults Problems
	// given are the Secrets that are not among the manifests.
	given map[reference]map[string][]byte
	// missing says why a Secret is not there: "does not exist".
	missing map[reference]string
}

// New makes an empty set of manifests.
func New() *Manifests {
	return &Manifests{given: map[reference]map[string][]byte{}, missing: map[reference]string{}}
}

// AddObject adds a Provider, an Alert or a Secret in the form that the Kubernetes API
// gives (unstructured). Other kinds are ignored.
func (m *Manifests) AddObject(object map[string]any) {
	f := newFile("")
	f.add(encoded(object))
	m.add(f)
}

// AddSecret adds a Secret that is not among the manifests. It wins over one that is.
func (m *Manifests) AddSecret(namespace, name string, data map[string][]byte) {
	m.given[reference{namespace, name}] = data
}

// AddMissingSecret says why a Secret is not there. The reason continues the words "the
// Secret apps/slack": "cannot be read: forbidden".
func (m *Manifests) AddMissingSecret(namespace, name, reason string) {
	m.missing[reference{namespace, name}] = reason
}

// AddFault adds a fault of no object.
func (m *Manifests) AddFault(p Problem) { m.faults = append(m.faults, p) }

func (m *Manifests) add(f *File) { m.files = append(m.files, f) }

// SecretRef is a reference of a Provider to a Secret in its namespace.
type SecretRef struct{ Namespace, Name string }

// SecretRefs returns the Secrets that Providers refer to, each once, sorted.
func (m *Manifests) SecretRefs() []SecretRef {
	var refs []SecretRef
	for _, f := range m.files {
		for _, p := range f.providers {
			for _, name := range []string{p.SecretRef, p.CertSecretRef, p.ProxySecretRef} {
				if name != "" {
					refs = append(refs, SecretRef{p.Namespace, name})
				}
			}
		}
	}
	slices.SortFunc(refs, func(a, b SecretRef) int { return compareNames(a.Namespace, a.Name, b.Namespace, b.Name) })
	return slices.Compact(refs)
}

// encoded is a value of the Kubernetes API as YAML.
func encoded(v any) *yaml.Node {
	switch v := v.(type) {
	case map[string]any:
		node := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: make([]*yaml.Node, 0, 2*len(v))}
		for _, key := range sortedKeys(v) {
			node.Content = append(node.Content, scalar("!!str", key), encoded(v[key]))
		}
		return node
	case []any:
		node := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: make([]*yaml.Node, len(v))}
		for i, item := range v {
			node.Content[i] = encoded(item)
		}
		return node
	case nil:
		return scalar("!!null", "null")
	case string:
		return scalar("!!str", v)
	case bool:
		return scalar("!!bool", fmt.Sprint(v))
	default:
		return scalar("!!float", fmt.Sprint(v))
	}
}

func scalar(tag, text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
