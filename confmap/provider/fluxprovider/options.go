package fluxprovider

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kubernetes is the path that means the Kubernetes API. A folder of that name is
// ./kubernetes.
const kubernetes = "kubernetes"

// request is what a URI asks for. Empty values are left to the defaults.
type request struct {
	path     string
	endpoint string
	storage  string
	// Of the exporter's queue and its retries.
	queueSize, numConsumers int
	maxElapsedTime          string
	// Of manifests.
	secrets string
	// Of the Kubernetes API.
	context    string
	namespaces []string
	// Of both.
	noCrossNamespaceRefs bool
}

// parseURI reads flux:PATH?option=value&….
func parseURI(uri string) (request, error) {
	rest, ok := strings.CutPrefix(uri, schemeName+":")
	if !ok {
		return request{}, fmt.Errorf("%q is not of the scheme %s", uri, schemeName)
	}
	path, query, _ := strings.Cut(rest, "?")
	if path == "" {
		return request{}, errors.New("must name a file or folder of manifests, as in flux:./notifications/, or the Kubernetes API: flux:kubernetes")
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return request{}, fmt.Errorf("the options are not like endpoint=0.0.0.0:8787&storage=/var/lib/flux: %w", err)
	}
	r := request{path: path}
	known := r.options()
	var errs []error
	for _, name := range sortedKeys(values) {
		set, ok := known[name]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("%q is not one of the options %s", name, strings.Join(sortedKeys(known), ", ")))
		case len(values[name]) > 1 || values[name][0] == "":
			errs = append(errs, fmt.Errorf("%s: must be set to one value", name))
		default:
			if err := set(values[name][0]); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
	}
	return r, errors.Join(errs...)
}

// options are the options of the query, and how each is read.
func (r *request) options() map[string]func(string) error {
	options := map[string]func(string) error{
		"endpoint":                r.setEndpoint,
		"max_elapsed_time":        r.setMaxElapsedTime,
		"no_cross_namespace_refs": flag(&r.noCrossNamespaceRefs),
		"num_consumers":           number(&r.numConsumers),
		"queue_size":              number(&r.queueSize),
		"storage":                 text(&r.storage),
	}
	if r.path == kubernetes {
		options["context"], options["namespaces"] = text(&r.context), r.setNamespaces
	} else {
		options["secrets"] = text(&r.secrets)
	}
	return options
}

func text(to *string) func(string) error {
	return func(value string) error {
		*to = value
		return nil
	}
}

func number(to *int) func(string) error {
	return func(value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return errors.New("must be a number, at least 1")
		}
		*to = n
		return nil
	}
}

func flag(to *bool) func(string) error {
	return func(value string) error {
		if value != "true" && value != "false" {
			return errors.New("must be true or false")
		}
		*to = value == "true"
		return nil
	}
}

func (r *request) setEndpoint(value string) error {
	if _, _, err := net.SplitHostPort(value); err != nil {
		return errors.New("must be an address with a port, such as 0.0.0.0:8787")
	}
	r.endpoint = value
	return nil
}

func (r *request) setMaxElapsedTime(value string) error {
	if d, err := time.ParseDuration(value); err != nil || d < 0 {
		return errors.New("must be a duration such as 2h, or 0s to retry without an end")
	}
	r.maxElapsedTime = value
	return nil
}

func (r *request) setNamespaces(value string) error {
	r.namespaces = strings.Split(value, ",")
	if slices.Contains(r.namespaces, "") {
		return errors.New("must be names with commas between them, such as apps,infra")
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
