package fluxmanifest

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// value is a place in a manifest.
type value struct {
	object *Object
	path   string
	node   *yaml.Node
}

// fields are those of a mapping. What is asked for is noted, so that the others
// can be warned of.
type fields struct {
	object *Object
	path   string
	node   *yaml.Node
	values map[string]yaml.Node
	asked  map[string]bool
	broken bool // there is something, but no mapping: nothing is known to be missing
}

// fields reads a mapping. What is none is a fault, and has no fields.
func (v value) fields() *fields {
	f := &fields{object: v.object, path: v.path, node: v.node, asked: map[string]bool{}}
	if v.node == nil {
		return f
	}
	if v.node.Kind != yaml.MappingNode {
		f.broken = true
		v.object.fault(v.path, "must be a map")
		return f
	}
	if key, twice := repeatedKey(v.node); twice {
		f.broken = true
		v.object.fault(v.path, "has the key %s twice", key)
		return f
	}
	if err := v.node.Decode(&f.values); err != nil { // the library resolves merges
		f.values, f.broken = nil, true
		v.object.fault(v.path, "must be a map whose keys are texts")
	}
	return f
}

func repeatedKey(mapping *yaml.Node) (string, bool) {
	seen := map[string]bool{}
	for i := 0; i < len(mapping.Content); i += 2 {
		key := mapping.Content[i].Value
		if seen[key] {
			return key, true
		}
		seen[key] = true
	}
	return "", false
}

func (f *fields) pathOf(name string) string {
	if f.path == "" {
		return name
	}
	return f.path + "." + name
}

// take gives a field. One that is null is not there, as in Kubernetes.
func (f *fields) take(name string) (value, bool) {
	f.asked[name] = true
	v := value{object: f.object, path: f.pathOf(name)}
	node, ok := f.values[name]
	if !ok {
		return v, false
	}
	f.object.lines[v.path] = f.keyLine(name, node.Line)
	v.node = resolveAlias(&node)
	if v.node.Kind == yaml.ScalarNode && v.node.ShortTag() == "!!null" {
		return value{object: f.object, path: v.path}, false
	}
	return v, true
}

// keyLine is the line of a key; of one that was merged, that of its value.
func (f *fields) keyLine(name string, otherwise int) int {
	for i := 0; i < len(f.node.Content); i += 2 {
		if f.node.Content[i].Value == name {
			return f.node.Content[i].Line
		}
	}
	return otherwise
}

// missing says that a field must be set, unless that is not known.
func (f *fields) missing(name, format string, args ...any) {
	if !f.broken {
		f.object.fault(f.pathOf(name), format, args...)
	}
}

func (f *fields) mapping(name string) *fields {
	v, _ := f.take(name)
	m := v.fields()
	m.broken = m.broken || f.broken
	return m
}

func (f *fields) text(name string) (string, bool) {
	v, ok := f.take(name)
	if !ok {
		return "", false
	}
	return v.text()
}

func (f *fields) flag(name string) bool {
	v, ok := f.take(name)
	if !ok {
		return false
	}
	if v.node.Kind != yaml.ScalarNode || v.node.ShortTag() != "!!bool" {
		v.object.fault(v.path, "must be true or false")
		return false
	}
	return v.node.Value == "true" || v.node.Value == "True" || v.node.Value == "TRUE"
}

func (f *fields) list(name string) (items []value, there bool) {
	v, ok := f.take(name)
	if !ok {
		return nil, false
	}
	if v.node.Kind != yaml.SequenceNode {
		v.object.fault(v.path, "must be a list")
		return nil, true
	}
	items = make([]value, len(v.node.Content))
	for i, node := range v.node.Content {
		path := fmt.Sprintf("%s[%d]", v.path, i)
		v.object.lines[path] = node.Line
		items[i] = value{object: v.object, path: path, node: resolveAlias(node)}
	}
	return items, true
}

// texts reads a map of texts.
func (f *fields) texts(name string) map[string]string {
	m := f.mapping(name)
	var texts map[string]string
	for _, key := range m.names() {
		if text, ok := m.text(key); ok {
			if texts == nil {
				texts = map[string]string{}
			}
			texts[key] = text
		}
	}
	return texts
}

func (f *fields) names() []string {
	names := make([]string, 0, len(f.values))
	for name := range f.values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// warnOfOthers warns of every field that nobody asked for.
func (f *fields) warnOfOthers() {
	for _, name := range f.names() {
		if !f.asked[name] {
			_, _ = f.take(name) // its line
			f.object.warn(f.pathOf(name), "is not a field of this kind, and is ignored")
		}
	}
}

// text reads a text. Kubernetes takes nothing else where it wants one. The value
// is never shown: it may be a secret.
func (v value) text() (string, bool) {
	if v.node.Kind != yaml.ScalarNode {
		v.object.fault(v.path, "must be a text")
		return "", false
	}
	switch v.node.ShortTag() {
	case "!!str", "!!timestamp":
		return v.node.Value, true
	}
	v.object.fault(v.path, "must be a text: put it in quotes")
	return "", false
}
