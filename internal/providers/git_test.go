package providers_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
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

// The table and the type agree on which revision is a commit: that of an OCI
// artifact is none where no repository can have such a one.
func TestAppliedDigestIsNoCommit(t *testing.T) {
	t.Parallel()
	e := providertest.Event(t, "kustomization-failed")
	e.Metadata = map[string]string{e.InvolvedObject.Group() + "/revision": "latest@sha256:" + strings.Repeat("3b6cdcc7", 8)}
	for _, row := range providers.Table {
		if row.Takes != notify.TakesCommits {
			continue
		}
		rule, filtered := row.Filters(&e)
		payloads, err := providertest.Sample(t, row).Render(providertest.Notification(t, e))
		require.NoError(t, err)
		if row.Type == "gitlab" || row.Type == "gitea" {
			assert.False(t, filtered, row.Type)
			assert.Len(t, payloads, 1, row.Type)
			continue
		}
		assert.True(t, filtered, row.Type)
		assert.Equal(t, notify.RuleNoGitCommit, rule)
		assert.Empty(t, payloads, row.Type)
	}
}

// A host that asks for patience with each of its successes is told everything, one
// delivery after the other.
func TestPatienceBetweenDeliveries(t *testing.T) {
	t.Parallel()
	for _, row := range providers.Table {
		if row.Takes != notify.TakesCommits && row.Takes != notify.TakesChangeRequests {
			continue
		}
		t.Run(row.Type, func(t *testing.T) {
			t.Parallel()
			var written atomic.Int32
			server := providertest.Server(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					written.Add(1)
				}
				w.Header().Set("Retry-After", "60")
				row.OK(w, r)
			})
			p := providertest.On(t, row, row.Sample, server.URL)
			payload := providertest.Payload(t, p)
			require.NoError(t, p.Deliver(t.Context(), payload))
			assert.EqualValues(t, 1, written.Load())
			var e *notify.Error
			require.ErrorAs(t, p.Deliver(t.Context(), payload), &e)
			assert.Equal(t, notify.Throttled, e.Class)
			assert.Greater(t, e.Delay, 30*time.Second)
			assert.EqualValues(t, 1, written.Load())
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
