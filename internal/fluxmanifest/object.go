package fluxmanifest

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Object is what all manifests have.
type Object struct {
	Position
	Kind      string
	Namespace string
	Name      string
	UID       string

	lines            map[string]int // of the fields that were read, by path
	faults, warnings Problems
}

// String is "Alert apps/slack".
func (o *Object) String() string {
	if o.Name == "" {
		return o.Kind
	}
	return o.Kind + " " + o.ref().String()
}

func (o *Object) ref() reference { return reference{o.Namespace, o.Name} }

// reference names an object among those of its kind.
type reference struct{ namespace, name string }

func (r reference) String() string { return r.namespace + "/" + r.name }

// problem says something of a field, at its line. Where it is not there, that is
// the line of what it should be in.
func (o *Object) problem(path, format string, args ...any) Problem {
	p := Problem{Position: o.Position, Object: o.String(), Path: path, Text: fmt.Sprintf(format, args...)}
	for place := path; place != ""; place = place[:max(0, strings.LastIndexAny(place, ".["))] {
		if line, ok := o.lines[place]; ok {
			p.Line = line
			break
		}
	}
	return p
}

func (o *Object) fault(path, format string, args ...any) {
	o.faults = append(o.faults, o.problem(path, format, args...))
}

func (o *Object) warn(path, format string, args ...any) {
	o.warnings = append(o.warnings, o.problem(path, format, args...))
}

// dnsName is what Kubernetes takes as the name of an object
// (https://kubernetes.io/docs/concepts/overview/working-with-objects/names/).
var dnsName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// maxName is the length of a name there, in characters.
const maxName = 253

func isName(s string) bool { return len(s) <= maxName && dnsName.MatchString(s) }

// defaultNamespace is where Kubernetes puts what does not say.
const defaultNamespace = "default"

// readMetadata reads who the object is, and tells whether that can be said.
func (o *Object) readMetadata(root *fields) bool {
	metadata := root.mapping("metadata")
	name, _ := metadata.text("name")
	namespace, hasNamespace := metadata.text("namespace")
	o.UID, _ = metadata.text("uid")
	if !isName(name) {
		metadata.missing("name", "must be set to a name such as slack, of lower-case letters, digits and hyphens")
		return false
	}
	o.Name, o.Namespace = name, namespace
	if !hasNamespace {
		o.Namespace = defaultNamespace
		if o.Kind != kindSecret {
			o.warn("metadata.namespace", "is not set, which means the namespace %s: no tool puts the manifests here into another one", defaultNamespace)
		}
	} else if !isName(namespace) || strings.Contains(namespace, ".") {
		o.fault("metadata.namespace", "must be a name such as flux-system, of lower-case letters, digits and hyphens, without a dot")
		return false
	}
	return true
}

func resolveAlias(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}
