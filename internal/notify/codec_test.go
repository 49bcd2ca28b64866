package notify

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

func drawText(t *rapid.T, label string) string { return rapid.String().Draw(t, label) }

func drawPairs(t *rapid.T, label string) map[string]string {
	pairs := rapid.MapOf(rapid.String(), rapid.String()).Draw(t, label)
	if len(pairs) == 0 {
		return nil
	}
	return pairs
}

func drawObject(t *rapid.T, label string) fluxevent.Object {
	return fluxevent.Object{
		Kind: "K" + drawText(t, label+" kind"), Namespace: drawText(t, "namespace"), Name: drawText(t, "name"), UID: drawText(t, "uid"),
		APIVersion: drawText(t, "version"), ResourceVersion: drawText(t, "resource version"), FieldPath: drawText(t, "path"),
	}
}

func drawTime(t *rapid.T, label string) time.Time {
	nanos := rapid.Int64Min(0).Draw(t, label)
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

// Whatever is stored of a notification is read again as it was.
func TestStoredNotificationsAreReadAsTheyWere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		event := fluxevent.Event{
			InvolvedObject: drawObject(t, "involved"), Severity: drawText(t, "severity"), Message: drawText(t, "message"),
			Timestamp: fluxevent.Time{Time: drawTime(t, "time")}, Observed: drawTime(t, "observed"),
			Cluster: drawText(t, "cluster"), Reason: drawText(t, "reason"), Action: drawText(t, "action"), Metadata: drawPairs(t, "metadata"), Labels: drawPairs(t, "labels"),
			ReportingController: drawText(t, "controller"), ReportingInstance: drawText(t, "instance"),
		}
		if rapid.Bool().Draw(t, "related") {
			related := drawObject(t, "related")
			event.RelatedObject = &related
		}
		var fields []Field
		for key, value := range drawPairs(t, "fields") {
			fields = append(fields, Field{Key: key, Value: value, Operator: rapid.Bool().Draw(t, "operator")})
		}
		n := New(&event, fields, Alert{Name: drawText(t, "alert"), Namespace: drawText(t, "alert namespace"), UID: drawText(t, "alert uid")})
		stored := n.Marshal()
		assert.Equal(t, stored, n.Marshal())
		read, err := Unmarshal(stored)
		require.NoError(t, err)
		require.Equal(t, n, read)
	})
}

// A field that a newer version added is ignored; a value that is cut off is refused.
func TestStoredNotificationsOfOtherVersions(t *testing.T) {
	t.Parallel()
	n := New(&fluxevent.Event{InvolvedObject: fluxevent.Object{Kind: "Kustomization", Name: "webapp"}, Message: "m"}, []Field{{Key: "k", Value: "v"}}, Alert{})
	stored := n.Marshal()
	read, err := Unmarshal(append(appendText(nil, 1000, "new"), stored...))
	require.NoError(t, err)
	assert.Equal(t, n, read)
	for end := range len(stored) {
		read, err := Unmarshal(stored[:end])
		if err == nil {
			assert.NotEqual(t, n, read, "the first %d bytes", end)
		}
	}
	_, err = Unmarshal(nil)
	require.ErrorContains(t, err, "cannot be read")
}
