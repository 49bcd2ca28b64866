package providertest

import "go.opencensus.io/stats/view"

// The library of Google Pub/Sub links one that starts a goroutine with the
// process, for metrics that nobody collects. Tests end it: every package proves
// that it leaves none behind, and the table links all libraries to all of them.
func init() { view.Stop() }
