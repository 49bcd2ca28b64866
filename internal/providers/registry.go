// Package providers is the table of every provider type. What is special about
// a type stands in its row and in its folder, nowhere else.
package providers

import (
	"slices"
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/alertmanager"
	"github.com/fluxnotify/otelcol-flux/internal/providers/generic"
	"github.com/fluxnotify/otelcol-flux/internal/providers/generichmac"
	"github.com/fluxnotify/otelcol-flux/internal/providers/nats"
	"github.com/fluxnotify/otelcol-flux/internal/providers/slack"
)

// Use says what a type makes of a setting.
type Use int

// What a type makes of a setting.
const (
	Unused Use = iota
	Optional
	Required
)

// Row is a provider type.
type Row struct {
	// Type is its name in configurations, the same as in Flux.
	Type string
	// Words describe it in one line.
	Words string
	// Takes is the class of events that it is told.
	Takes notify.Takes
	// Skips leaves out further events that the type has no use for, and names
	// the rule. nil: none.
	Skips func(*fluxevent.Event) (rule string, skip bool)
	// Bus marks what is not spoken over HTTP: settings of the HTTP client but
	// tls and timeout mean nothing to it.
	Bus bool
	// What the type makes of these settings.
	Address, Channel, Username, Password, Token, Headers Use
	// RawToken marks a token that is bytes, not text: a line break at its end
	// is part of it.
	RawToken bool
	// Secrets are further keys of a secret folder that the type reads.
	Secrets []string
	// New makes a provider, or says what is wrong with which setting.
	New func(notify.Settings) (notify.Provider, error)
	// OKBody is what the endpoint answers when it is content, where the type
	// looks further than the status code.
	OKBody string
	// Sample is a configuration that uses every setting of the type.
	Sample notify.Settings
}

// Table holds all types, sorted.
var Table = []Row{
	{
		Type: "alertmanager", Words: "alerts to Prometheus Alertmanager",
		Takes:   notify.TakesNews,
		Address: Required, Username: Optional, Password: Optional, Token: Optional,
		New:    alertmanager.New,
		Sample: notify.Settings{Address: "https://alertmanager.example.com/api/v2/alerts", Username: "flux", Password: "sample-password"},
	},
	{
		Type: "generic", Words: "the event as JSON to a webhook",
		Takes:   notify.TakesAll,
		Address: Required, Headers: Optional,
		New:    generic.New,
		Sample: notify.Settings{Address: "https://example.com/hook", Headers: []notify.Header{{Name: "X-Team", Value: "sample-header"}}},
	},
	{
		Type: "generic-hmac", Words: "the event as JSON to a webhook, signed",
		Takes:   notify.TakesAll,
		Address: Required, Token: Required, Headers: Optional,
		RawToken: true,
		New:      generichmac.New,
		Sample:   notify.Settings{Address: "https://example.com/hook", Token: "sample-token", Headers: []notify.Header{{Name: "X-Team", Value: "sample-header"}}},
	},
	{
		Type: "nats", Words: "the event as JSON to a NATS subject",
		Takes: notify.TakesNews, Bus: true,
		Address: Required, Channel: Required, Username: Optional, Password: Optional,
		Secrets: []string{"creds", "nkey"},
		New:     nats.New,
		Sample:  notify.Settings{Address: "nats://nats.example.com:4222", Channel: "flux.events", Username: "flux", Password: "sample-password"},
	},
	{
		Type: "slack", Words: "a message in a Slack channel",
		Takes:   notify.TakesNews,
		Address: Required, Channel: Optional, Username: Optional, Token: Optional,
		New:    slack.New,
		Sample: notify.Settings{Address: "https://slack.com/api/chat.postMessage", Channel: "general", Username: "flux", Token: "sample-token"},
		OKBody: `{"ok":true}`,
	},
}

// Filters tells whether the type leaves the event out, and by which rule.
func (r *Row) Filters(e *fluxevent.Event) (rule string, filtered bool) {
	if rule, filtered := r.Takes.Filters(e); filtered {
		return rule, true
	}
	if r.Skips == nil {
		return "", false
	}
	return r.Skips(e)
}

// Find is the row of a type.
func Find(providerType string) (Row, bool) {
	for _, row := range Table {
		if row.Type == providerType {
			return row, true
		}
	}
	return Row{}, false
}

// Nearest lists every type, those first that the given word may have meant.
func Nearest(word string) []string {
	types := make([]string, len(Table))
	for i, row := range Table {
		types[i] = row.Type
	}
	if word != "" {
		slices.SortStableFunc(types, func(a, b string) int { return distance(word, a) - distance(word, b) })
	}
	return types
}

// distance is the number of edits between two words, letters alone counting.
func distance(a, b string) int {
	a, b = letters(a), letters(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}
