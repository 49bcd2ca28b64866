package fluxprovider

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// source is what a URI asks for.
type source struct {
	path     string
	endpoint string
	storage  string
	secrets  string
}

// parseURI reads flux:PATH?option=value&….
func parseURI(uri string) (source, error) {
	rest, ok := strings.CutPrefix(uri, schemeName+":")
	if !ok {
		return source{}, fmt.Errorf("%q is not of the scheme %s", uri, schemeName)
	}
	path, query, _ := strings.Cut(rest, "?")
	if path == "" {
		return source{}, errors.New("must name a file or folder of manifests, as in flux:./notifications/")
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return source{}, fmt.Errorf("the options are not like endpoint=0.0.0.0:8787&storage=/var/lib/flux: %w", err)
	}
	s := source{path: path}
	known := map[string]*string{"endpoint": &s.endpoint, "secrets": &s.secrets, "storage": &s.storage}
	var errs []error
	for _, name := range sortedKeys(values) {
		target, ok := known[name]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("%q is not one of the options %s", name, strings.Join(sortedKeys(known), ", ")))
		case len(values[name]) > 1 || values[name][0] == "":
			errs = append(errs, fmt.Errorf("%s: must be set to one value", name))
		default:
			*target = values[name][0]
		}
	}
	if s.endpoint != "" {
		if _, _, err := net.SplitHostPort(s.endpoint); err != nil {
			errs = append(errs, errors.New("endpoint: must be an address with a port, such as 0.0.0.0:8787"))
		}
	}
	return s, errors.Join(errs...)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
