package providers_test

import (
	"testing"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/providertest/gitpeer"
)

func TestNewestStatusWins(t *testing.T) {
	t.Parallel()
	for _, row := range providers.Table {
		if row.Takes != notify.TakesCommits {
			continue
		}
		t.Run(row.Type, func(t *testing.T) {
			t.Parallel()
			gitpeer.NewestWins(t, row)
		})
	}
}
