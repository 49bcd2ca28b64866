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

// fields are those of a mapping. The fields that are read are noted, so that the others
// can be warned about.
type fields struct {
	object *Object
	path   string
	values map[string]field
	asked  map[string]bool
	broken bool // there is something that is not a mapping: no field is known to be missing
}

// field is one of them, and the line of its key.
type field struct {
	node *yaml.Node
	line int
}

// fields reads a mapping. Anything else is a fault, and has no fields. Of two fields
// with one key the first counts, the other is a fault.
func (v value) fields() *fields {
	f := &fields{object: v.object, path: v.path, asked: map[string]bool{}}
	if v.node == nil {
		return f
	}
	if v.node.Kind != yaml.MappingNode {
		f.broken = true
		v.object.fault(v.path, "must be a map")
		return f
	}
	f.values = make(map[string]field, len(v.node.Content)/2)
	f.read(v.node, 0)
	return f
}

// maxMerges bounds how deep mappings are merged.
const maxMerges = 10

// read adds the fields of a mapping, then those of the mappings that it merges (<<).
func (f *fields) read(mapping *yaml.Node, depth int) {
	var merged []*yaml.Node
	own := make(map[string]bool, len(mapping.Content)/2)
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, node := resolveAlias(mapping.Content[i]), resolveAlias(mapping.Content[i+1])
		if !f.object.spend(len(key.Value) + 1) {
			f.broken = true
			return
		}
		_, known := f.values[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode:
			f.broken = true
			f.object.fault(f.path, "must be a map whose keys are strings")
		case key.ShortTag() == "!!merge":
			merged = append(merged, node)
		case own[key.Value]:
			f.object.fault(f.path, "has the key %s twice", shortened(key.Value))
		case !known:
			f.values[key.Value] = field{node, keyLine(mapping.Content[i], depth, node)}
		}
		own[key.Value] = true
	}
	for _, node := range merged {
		f.merge(node, depth+1)
	}
}

// keyLine is the line of a key; of one that was merged, that of its value.
func keyLine(key *yaml.Node, depth int, node *yaml.Node) int {
	if depth > 0 {
		return node.Line
	}
	return key.Line
}

func (f *fields) merge(node *yaml.Node, depth int) {
	list := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		list = node.Content
	}
	for _, item := range list {
		item = resolveAlias(item)
		if item.Kind != yaml.MappingNode || depth > maxMerges {
			f.object.fault(f.path, "merges something else than maps with <<, or too many in each other")
			return
		}
		f.read(item, depth)
	}
}

func (f *fields) pathOf(name string) string {
	name = shortened(name)
	if f.path == "" {
		return name
	}
	return f.path + "." + name
}

// take reads a field. One that is null is absent, as in Kubernetes.
func (f *fields) take(name string) (value, bool) {
	f.asked[name] = true
	v := value{object: f.object, path: f.pathOf(name)}
	found, ok := f.values[name]
	if !ok {
		return v, false
	}
	f.object.lines[v.path] = found.line
	if found.node.Kind == yaml.ScalarNode && found.node.ShortTag() == "!!null" {
		return v, false
	}
	v.node = found.node
	return v, true
}

// missing reports that a field must be set, unless that is not known.
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

// bounded reads a string that Kubernetes bounds, in characters.
func (f *fields) bounded(name string, most int) string {
	text, _ := f.text(name)
	if n := len([]rune(text)); n > most {
		f.object.fault(f.pathOf(name), "is %d characters long, the most is %d", n, most)
		return ""
	}
	return text
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
	items = make([]value, 0, len(v.node.Content))
	for i, node := range v.node.Content {
		if !f.object.spend(1) {
			break
		}
		path := fmt.Sprintf("%s[%d]", v.path, i)
		v.object.lines[path] = node.Line
		items = append(items, value{object: v.object, path: path, node: resolveAlias(node)})
	}
	return items, true
}

// texts reads a map of strings.
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

// warnOfOthers warns about every field that was not read.
func (f *fields) warnOfOthers() {
	for _, name := range f.names() {
		if !f.asked[name] {
			_, _ = f.take(name) // its line
			f.object.warn(f.pathOf(name), "is not a field of this kind, and is ignored")
		}
	}
}

// text reads a string. Kubernetes accepts nothing else where it expects one. The value
// is never shown: it may be a secret.
func (v value) text() (string, bool) {
	if v.node.Kind != yaml.ScalarNode {
		v.object.fault(v.path, "must be a string")
		return "", false
	}
	if !v.object.spend(len(v.node.Value) + 1) {
		return "", false
	}
	switch v.node.ShortTag() {
	case "!!str", "!!timestamp":
		return v.node.Value, true
	}
	v.object.fault(v.path, "must be a string: put it in quotes")
	return "", false
}
