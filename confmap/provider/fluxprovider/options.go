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

// source is what a URI asks for.
type source struct {
	path     string
	endpoint string
	storage  string
	secrets  string
	// Of every exporter; zero and empty are its defaults.
	queueSize, numConsumers int
	maxElapsedTime          string
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
	known := s.options()
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
	return s, errors.Join(errs...)
}

// options are what the query may set, and how each is read.
func (s *source) options() map[string]func(string) error {
	return map[string]func(string) error{
		"endpoint":         s.setEndpoint,
		"max_elapsed_time": s.setMaxElapsedTime,
		"num_consumers":    number(&s.numConsumers),
		"queue_size":       number(&s.queueSize),
		"secrets":          text(&s.secrets),
		"storage":          text(&s.storage),
	}
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
			return errors.New("must be a number, of 1 at least")
		}
		*to = n
		return nil
	}
}

func (s *source) setEndpoint(value string) error {
	if _, _, err := net.SplitHostPort(value); err != nil {
		return errors.New("must be an address with a port, such as 0.0.0.0:8787")
	}
	s.endpoint = value
	return nil
}

func (s *source) setMaxElapsedTime(value string) error {
	if d, err := time.ParseDuration(value); err != nil || d < 0 {
		return errors.New("must be a duration such as 2h, or 0s to repeat without an end")
	}
	s.maxElapsedTime = value
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
