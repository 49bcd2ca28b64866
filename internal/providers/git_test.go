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

func TestOneCommentPerObject(t *testing.T) {
	t.Parallel()
	for _, row := range providers.Table {
		if row.Takes != notify.TakesChangeRequests {
			continue
		}
		t.Run(row.Type, func(t *testing.T) {
			t.Parallel()
			t.Run("in any order", func(t *testing.T) {
				t.Parallel()
				gitpeer.OneComment(t, row)
			})
			t.Run("at once", func(t *testing.T) {
				t.Parallel()
				gitpeer.AtOnce(t, row)
			})
		})
	}
}
