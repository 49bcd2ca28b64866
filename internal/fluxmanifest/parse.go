package fluxmanifest

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The kinds that are read. All others are ignored.
const (
	kindProvider = "Provider"
	kindAlert    = "Alert"
	kindSecret   = "Secret"
)

// group is the API group of Providers and Alerts.
const group = "notification.toolkit.fluxcd.io/"

// versions are those of the group that are understood. They differ in what they leave
// out, and are read the same.
var versions = []string{"v1beta1", "v1beta2", "v1beta3", "v1"}

// File has the objects of one file.
type File struct {
	path      string
	providers []*Provider
	alerts    []*Alert
	secrets   []*Secret
	// faults and warnings are those of the file, and of objects without a name.
	faults, warnings Problems
	// broken reports that the file is not YAML, from some line on.
	broken bool

	budget int
	lists  map[*yaml.Node]bool // that were read
}

func newFile(path string) *File {
	return &File{path: path, budget: maxRead, lists: map[*yaml.Node]bool{}}
}

// parseFile reads the text of a file: YAML documents, or lists such as kubectl prints.
func parseFile(path string, text []byte) *File {
	f := newFile(path)
	f.parse(text)
	f.lists = nil
	return f
}

func (f *File) parse(text []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		document, err := decode(decoder)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			f.broken = true
			f.faults = append(f.faults, syntaxProblem(f.path, err))
			return // the documents after it cannot be found
		}
		if len(document.Content) == 1 {
			f.add(resolveAlias(document.Content[0]))
		}
	}
}

// decode reads a document. The library panics on some texts that are not YAML.
func decode(decoder *yaml.Decoder) (document yaml.Node, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("yaml: cannot be read")
		}
	}()
	err = decoder.Decode(&document)
	return document, err
}

var (
	syntaxError = regexp.MustCompile(`(?s)^yaml: (?:line (\d+): )?(.*)$`)
	quoted      = regexp.MustCompile(`'[^']*'`)
)

func syntaxProblem(file string, err error) Problem {
	p := Problem{File: file, Text: "is not YAML"}
	if parts := syntaxError.FindStringSubmatch(err.Error()); parts != nil {
		if line, err := strconv.Atoi(parts[1]); err == nil {
			p.Line = line
		}
		p.Text += ": " + shortened(quoted.ReplaceAllStringFunc(parts[2], hide))
	}
	return p
}

// hide leaves out what the library quotes of the file, because it may be a secret;
// single characters are what it expected.
func hide(quoted string) string {
	if len(quoted) <= len("','") {
		return quoted
	}
	return "'…'"
}

// add reads a document, or the items of a list. A document that is not a Kubernetes
// object is ignored.
func (f *File) add(node *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		return
	}
	o := &Object{file: f.path, line: node.Line, lines: map[string]int{}, budget: &f.budget}
	kind, apiVersion, items := head(node)
	version, ours := strings.CutPrefix(apiVersion, group)
	o.Kind = kind
	switch {
	case strings.HasSuffix(kind, "List") && (ours || apiVersion == "v1"):
		if f.lists[node] {
			return // it is an item of its own
		}
		f.lists[node] = true
		f.addItems(items)
	case apiVersion == "v1" && kind == kindSecret, ours && (kind == kindProvider || kind == kindAlert):
		f.addObject(o, version, node)
	}
}

func (f *File) addItems(items *yaml.Node) {
	if items == nil {
		return
	}
	for _, item := range items.Content {
		if f.budget < 0 {
			f.faults = append(f.faults, Problem{File: f.path, Line: item.Line, Text: "is too large with its aliases resolved: write it without them"})
			return
		}
		f.budget--
		f.add(resolveAlias(item))
	}
}

// head finds the fields that identify an object. They are few: all else of other kinds is
// not read.
func head(node *yaml.Node) (kind, apiVersion string, items *yaml.Node) {
	for i := len(node.Content) - 2; i >= 0; i -= 2 { // of two keys, the first counts
		value := resolveAlias(node.Content[i+1])
		switch resolveAlias(node.Content[i]).Value {
		case "apiVersion":
			apiVersion = value.Value
		case "kind":
			kind = value.Value
		case "items":
			items = value
		}
	}
	return kind, apiVersion, items
}

func (f *File) addObject(o *Object, version string, node *yaml.Node) {
	_ = o.spend(objectCost)
	root := value{object: o, node: node}.fields()
	if !o.readMetadata(root) {
		if o.Kind != kindSecret || root.broken { // other Secrets may have a generateName
			f.faults, f.warnings = append(f.faults, o.faults...), append(f.warnings, o.warnings...)
		}
		return
	}
	if o.Kind == kindSecret {
		f.secrets = append(f.secrets, readSecret(o, root))
		return
	}
	for _, name := range []string{"apiVersion", "kind", "status"} {
		_, _ = root.take(name)
	}
	if !slices.Contains(versions, version) {
		o.fault("apiVersion", "%q is not one of %s%s", shortened(group+version), group, strings.Join(versions, ", "))
	}
	spec := root.mapping("spec")
	if o.Kind == kindProvider {
		f.providers = append(f.providers, readProvider(o, spec))
	} else {
		f.alerts = append(f.alerts, readAlert(o, spec))
	}
	root.warnOfOthers()
}
