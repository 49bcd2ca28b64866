package gitpeer

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers"
	"github.com/fluxnotify/otelcol-flux/internal/providers/gitcomment"
	"github.com/fluxnotify/otelcol-flux/internal/providertest"
)

// requests are the change requests that are commented on.
var requests = []string{"7", "42"}

// OneComment proves of a type that four hundred events of twenty objects on two
// change requests, in any order, from ten goroutines, to a host that fails one
// call in five, leave one comment of each object, which says what its newest
// event said, among those of other people; and that nothing is written which is
// there already.
func OneComment(t *testing.T, row providers.Row) {
	t.Helper()
	shape, ok := CommentShapes[row.Type]
	require.True(t, ok, "CommentShapes lacks %s", row.Type)
	comments := NewComments(t)
	server := providertest.Server(t, Unreliable(shape(t, comments)))
	p := providertest.On(t, row, row.Sample, server.URL)

	var payloads []notify.Payload
	want := map[string]gitcomment.Comment{} // by marker, that of the newest event
	for object := range 20 {
		for second := range perObject {
			payload, comment := commented(t, p, object, second)
			payloads = append(payloads, payload)
			want[comment.Marker] = comment
		}
	}
	for _, c := range want {
		// Somebody has copied it, and talks on.
		comments.Add(strconv.Itoa(c.Request), Stranger, c.Body)
		comments.Add(strconv.Itoa(c.Request), Self, "> "+c.Marker+"\nquoted")
	}
	before := comments.Writes()
	deliverAll(t, p, payloads)

	found := 0
	for _, request := range requests {
		for _, there := range comments.Own(request) {
			if strings.HasPrefix(there.Body, ">") {
				continue
			}
			found++
			c, ok := want[marker(there.Body)]
			if assert.True(t, ok, there.Body) {
				assert.Equal(t, strconv.Itoa(c.Request), request)
				assert.Equal(t, c.Body, there.Body)
			}
		}
	}
	assert.Len(t, want, found)
	assert.GreaterOrEqual(t, comments.Writes()-before, len(want))
	assert.Less(t, comments.Writes()-before, len(payloads)/2, "most events came after a newer one")
}

// commented is an event as a payload. Now and then it says what the one before
// said.
func commented(t *testing.T, p notify.Provider, object, second int) (notify.Payload, gitcomment.Comment) {
	t.Helper()
	outcome := outcomes[(object+second-second/4)%len(outcomes)]
	payloads, err := p.Render(providertest.Notification(t, fluxevent.Event{
		InvolvedObject: fluxevent.Object{
			Kind: "Kustomization", Namespace: "apps", Name: fmt.Sprintf("app-%02d", object), APIVersion: "kustomize.toolkit.fluxcd.io/v1",
		},
		Severity: outcome.severity, Reason: outcome.reason, Message: outcome.reason + "\n/close",
		Timestamp: fluxevent.NewTime(providertest.Observed.Add(time.Duration(second)*time.Second - time.Hour)),
		Metadata:  map[string]string{notify.ChangeRequestKey: requests[object%len(requests)]},
	}))
	require.NoError(t, err)
	require.Len(t, payloads, 1)
	var comment gitcomment.Comment
	require.NoError(t, json.Unmarshal(payloads[0].Body, &comment))
	return payloads[0], comment
}

// AtOnce proves that events of one object that come together make one comment,
// though none of them finds one.
func AtOnce(t *testing.T, row providers.Row) {
	t.Helper()
	comments := NewComments(t)
	server := providertest.Server(t, CommentShapes[row.Type](t, comments))
	p := providertest.On(t, row, row.Sample, server.URL)
	payload, comment := commented(t, p, 1, 1)
	payloads := make([]notify.Payload, 50)
	for i := range payloads {
		payloads[i] = payload
	}
	deliverAll(t, p, payloads)
	assert.Equal(t, 1, comments.Writes())
	own := comments.Own(strconv.Itoa(comment.Request))
	require.Len(t, own, 1)
	assert.Equal(t, comment.Body, own[0].Body)
}
