package main

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// order is that of the sections in which people read a configuration, with a comment for
// each.
var order = []struct{ section, comment string }{
	{"receivers", "Flux's controllers post their events here: --events-addr=http://<this host>:8787/.\nA notification-controller can forward them: add a Provider of the type generic-hmac to\nit, and the Provider's key to this receiver (signature)."},
	{"exporters", "One for each Provider that an Alert refers to, with its Alerts. A $ in a value is\nwritten as $$."},
	{"extensions", "Waiting notifications are kept in this folder, which must be writable."},
	{"service", "Each exporter has its own pipeline, so that none waits for another."},
}

var variables = regexp.MustCompile(`\$\{env:(FLUX_[A-Z0-9_]+)\}`)

// writeConfig writes a configuration with comments.
func writeConfig(config map[string]any, paths []string) ([]byte, error) {
	var b bytes.Buffer
	for _, o := range order {
		section, ok := config[o.section]
		if !ok {
			continue
		}
		var node yaml.Node
		if err := node.Encode(map[string]any{o.section: section}); err != nil {
			return nil, err
		}
		nameFirst(&node)
		b.WriteString("\n" + commented(o.comment) + "\n")
		encoder := yaml.NewEncoder(&b)
		encoder.SetIndent(2)
		if err := encoder.Encode(&node); err != nil {
			return nil, err
		}
	}
	return append([]byte(head(paths, b.String())), b.Bytes()...), nil
}

// nameFirst moves the names in front of the other keys of every map.
func nameFirst(node *yaml.Node) {
	for _, child := range node.Content {
		nameFirst(child)
	}
	if node.Kind != yaml.MappingNode {
		return
	}
	for _, first := range []string{"namespace", "name", "kind", "type"} {
		for i := 0; i < len(node.Content); i += 2 {
			if node.Content[i].Value == first {
				pair := slices.Clone(node.Content[i : i+2])
				node.Content = slices.Insert(slices.Delete(node.Content, i, i+2), 0, pair...)
			}
		}
	}
}

// head names the manifests of the configuration, and the variables that it needs.
func head(paths []string, text string) string {
	lines := "Made by fluxnotify convert from:\n  " + strings.Join(paths, "\n  ")
	var names []string
	for _, match := range variables.FindAllStringSubmatch(text, -1) {
		names = append(names, match[1])
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) > 0 {
		lines += "\nSet these variables to the values of the Secrets:\n  " + strings.Join(names, "\n  ")
	}
	return commented(lines) + "\n"
}

func commented(text string) string {
	return "# " + strings.ReplaceAll(text, "\n", "\n# ")
}
