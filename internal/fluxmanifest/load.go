// Package fluxmanifest reads Flux's Providers and Alerts from the files that
// their users keep them in, and makes a collector's configuration of them.
package fluxmanifest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The kinds that matter. All others are left alone.
const (
	kindProvider = "Provider"
	kindAlert    = "Alert"
	kindSecret   = "Secret"
)

// group is the API group of Providers and Alerts.
const group = "notification.toolkit.fluxcd.io/"

// versions are those of the group that are understood. They differ in what they
// leave out, and are read the same.
var versions = []string{"v1beta1", "v1beta2", "v1beta3", "v1"}

// Manifests are the objects of some files.
type Manifests struct {
	providers []*Provider
	alerts    []*Alert
	secrets   map[reference]*Secret

	paths            []string
	faults, warnings Problems
	first            map[string]*Object  // by kind, namespace and name
	lists            map[*yaml.Node]bool // that were read
}

// Load reads files, and all files *.yaml and *.yml of folders and the folders in
// them; names that begin with a dot are left out. What is wrong in the manifests
// is told by Translate, together with what is wrong between them: the error is
// only of files that cannot be read.
func Load(paths ...string) (*Manifests, error) {
	m := &Manifests{paths: paths, first: map[string]*Object{}, lists: map[*yaml.Node]bool{}, secrets: map[reference]*Secret{}}
	var errs []error
	for _, path := range paths {
		files, err := list(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			m.parse(file, text)
		}
	}
	return m, errors.Join(errs...)
}

// list gives the files of a path, in order. A link to a file is followed,
// because Kubernetes mounts files so; one to a folder is not.
func list(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{filepath.Clean(path)}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		name := filepath.Join(path, entry.Name())
		switch {
		case strings.HasPrefix(entry.Name(), "."):
		case entry.IsDir():
			below, err := list(name)
			if err != nil {
				return nil, err
			}
			files = append(files, below...)
		case filepath.Ext(name) == ".yaml" || filepath.Ext(name) == ".yml":
			if info, err := os.Stat(name); err == nil && info.IsDir() {
				continue
			}
			files = append(files, name)
		}
	}
	return files, nil
}

func (m *Manifests) parse(file string, text []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			m.faults = append(m.faults, syntaxProblem(file, err))
			return // what follows cannot be told apart
		}
		if len(document.Content) == 1 {
			m.add(file, resolveAlias(document.Content[0]))
		}
	}
}

var (
	syntaxError = regexp.MustCompile(`(?s)^yaml: (?:line (\d+): )?(.*)$`)
	quoted      = regexp.MustCompile(`'[^']*'`)
)

func syntaxProblem(file string, err error) Problem {
	p := Problem{Position: Position{File: file}, Text: "is not YAML"}
	if parts := syntaxError.FindStringSubmatch(err.Error()); parts != nil {
		if line, err := strconv.Atoi(parts[1]); err == nil {
			p.Line = line
		}
		p.Text += ": " + quoted.ReplaceAllStringFunc(parts[2], hide)
	}
	return p
}

// hide leaves out what the library quotes of the file, because it may be a
// secret; single characters are what it expected.
func hide(quoted string) string {
	if len(quoted) <= len("','") {
		return quoted
	}
	return "'…'"
}

// add takes what matters of a document, or of the items of a list such as
// kubectl prints. A document that is no object of Kubernetes is left alone.
func (m *Manifests) add(file string, node *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		return
	}
	head := readHead(node)
	kind, apiVersion := resolveAlias(&head.Kind).Value, resolveAlias(&head.APIVersion).Value
	version, ours := strings.CutPrefix(apiVersion, group)
	object := &Object{Position: Position{file, node.Line}, Kind: kind, lines: map[string]int{}}
	switch {
	case strings.HasSuffix(kind, "List") && (ours || apiVersion == "v1"):
		if m.lists[node] {
			return // it is an item of its own
		}
		m.lists[node] = true
		for _, item := range resolveAlias(&head.Items).Content {
			m.add(file, resolveAlias(item))
		}
	case apiVersion == "v1" && kind == kindSecret, ours && (kind == kindProvider || kind == kindAlert):
		m.addObject(object, version, node)
	}
}

// head is what tells what a document is.
type head struct {
	APIVersion yaml.Node `yaml:"apiVersion"`
	Kind       yaml.Node `yaml:"kind"`
	Items      yaml.Node `yaml:"items"`
}

// readHead finds it also where another key is there twice, which the library
// refuses as a whole: that is told once it is known whose fault it is.
func readHead(node *yaml.Node) head {
	var h head
	_ = node.Decode(&h) // resolves merges
	for name, to := range map[string]*yaml.Node{"apiVersion": &h.APIVersion, "kind": &h.Kind, "items": &h.Items} {
		for i := 0; i < len(node.Content) && to.IsZero(); i += 2 {
			if node.Content[i].Value == name {
				*to = *node.Content[i+1]
			}
		}
	}
	return h
}

func (m *Manifests) addObject(o *Object, version string, node *yaml.Node) {
	root := value{object: o, node: node}.fields()
	named := o.readMetadata(root)
	if o.Kind == kindSecret {
		switch {
		case named:
			m.addSecret(o, root)
		case root.broken: // whoever refers to it would not find it
			m.faults = append(m.faults, o.faults...)
		}
		return
	}
	first, twice := m.first[o.String()]
	switch {
	case !named:
	case twice:
		o.fault("", "is there twice, first in %s:%d", first.File, first.Line)
	default:
		m.first[o.String()] = o
		m.read(o, version, root)
	}
	m.faults, m.warnings = append(m.faults, o.faults...), append(m.warnings, o.warnings...)
}

// addSecret keeps a Secret, and what is wrong in it, for the Provider that
// refers to it: others may lie beside it for others' use.
func (m *Manifests) addSecret(o *Object, root *fields) {
	if first, twice := m.secrets[o.ref()]; twice {
		first.fault("", "is there twice, again in %s:%d", o.File, o.Line)
		return
	}
	m.secrets[o.ref()] = readSecret(o, root)
}

func (m *Manifests) read(o *Object, version string, root *fields) {
	for _, name := range []string{"apiVersion", "kind", "status"} {
		_, _ = root.take(name)
	}
	if !slices.Contains(versions, version) {
		o.fault("apiVersion", "%q is not one of %s%s", group+version, group, strings.Join(versions, ", "))
		return
	}
	spec := root.mapping("spec")
	if o.Kind == kindProvider {
		m.providers = append(m.providers, readProvider(o, spec))
	} else {
		m.alerts = append(m.alerts, readAlert(o, spec))
	}
	root.warnOfOthers()
}
