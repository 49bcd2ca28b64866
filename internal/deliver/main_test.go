package deliver

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// A library of Google's links one that starts its only goroutine with the process.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}
