package fluxmanifest

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Object is the common part of all manifests.
type Object struct {
	Kind      string
	Namespace string
	Name      string
	UID       string

	file             string
	line             int
	lines            map[string]int // of the fields that were read, by path
	faults, warnings Problems
	// budget is what may still be read of the object's file.
	budget *int
}

// String is "Alert apps/slack".
func (o *Object) String() string { return o.problem("", "").Object() }

func (o *Object) ref() reference { return reference{o.Namespace, o.Name} }

// reference is the name of an object among those of its kind.
type reference struct{ namespace, name string }

func (r reference) String() string { return r.namespace + "/" + r.name }

// problem is about a field, at its line. Where the field is absent, that is the line of
// the field around it.
func (o *Object) problem(path, format string, args ...any) Problem {
	p := Problem{
		Kind: o.Kind, Namespace: o.Namespace, Name: o.Name, File: o.file, Line: o.line,
		Field: path, Text: fmt.Sprintf(format, args...),
	}
	for place := path; place != ""; place = place[:max(0, strings.LastIndexAny(place, ".["))] {
		if line, ok := o.lines[place]; ok {
			p.Line = line
			break
		}
	}
	return p
}

// maxPerObject bounds the faults and the warnings of one object.
const maxPerObject = 20

func (o *Object) fault(path, format string, args ...any) {
	o.faults = o.add(o.faults, path, format, args...)
}

func (o *Object) warn(path, format string, args ...any) {
	o.warnings = o.add(o.warnings, path, format, args...)
}

func (o *Object) add(to Problems, path, format string, args ...any) Problems {
	switch {
	case len(to) < maxPerObject:
		return append(to, o.problem(path, format, args...))
	case len(to) == maxPerObject:
		return append(to, o.problem("", "has more problems than are listed here"))
	}
	return to
}

const (
	// maxRead bounds what is read of one file, in bytes and values, aliases counted each
	// time. Without aliases, a file of the largest size needs less.
	maxRead = 8 << 20
	// objectCost is what an object counts in addition.
	objectCost = 500
)

// spend counts what is read. Once too much was read, nothing is there any more.
func (o *Object) spend(n int) bool {
	if *o.budget < 0 {
		return false
	}
	if *o.budget -= n; *o.budget < 0 {
		o.fault("", "is too large with its aliases resolved: write it without them")
		return false
	}
	return true
}

// dnsName is what Kubernetes accepts as the name of an object
// (https://kubernetes.io/docs/concepts/overview/working-with-objects/names/).
var dnsName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// maxName is the length of a name there, in characters.
const maxName = 253

func isName(s string) bool { return len(s) <= maxName && dnsName.MatchString(s) }

// defaultNamespace is where Kubernetes puts objects without a namespace.
const defaultNamespace = "default"

// readMetadata reads the object's name. named is false where it has none that can be
// used.
func (o *Object) readMetadata(root *fields) (named bool) {
	defer o.renameProblems()
	metadata := root.mapping("metadata")
	name, _ := metadata.text("name")
	namespace, hasNamespace := metadata.text("namespace")
	o.UID, _ = metadata.text("uid")
	if len(o.UID) > maxName {
		o.fault("metadata.uid", "is longer than %d characters", maxName)
		o.UID = ""
	}
	if !isName(name) {
		metadata.missing("name", "must be set to a name such as slack, of lower-case letters, digits and hyphens")
		return false
	}
	if !hasNamespace {
		namespace = defaultNamespace
		if o.Kind != kindSecret {
			o.warn("metadata.namespace", "is not set, which means the namespace %s", defaultNamespace)
		}
	} else if !isName(namespace) || strings.Contains(namespace, ".") {
		o.fault("metadata.namespace", "must be a name such as flux-system, of lower-case letters, digits and hyphens, without a dot")
		return false
	}
	o.Name, o.Namespace = name, namespace
	return true
}

// renameProblems adds the name to the problems that were found before it was known.
func (o *Object) renameProblems() {
	for _, list := range []Problems{o.faults, o.warnings} {
		for i := range list {
			list[i].Namespace, list[i].Name = o.Namespace, o.Name
		}
	}
}

func resolveAlias(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}
