package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long anything may take that takes no time on an idle machine.
const patience = 30 * time.Second

// tick is how often a condition is looked at.
const tick = 10 * time.Millisecond

// binary is the collector under test.
var binary = func() string {
	if path := os.Getenv("OTELCOL_FLUX"); path != "" {
		return path
	}
	return filepath.Join("..", "..", "_build", "otelcol-flux")
}()

// client keeps no connections, so that none outlives a test.
var client = &http.Client{
	Timeout:       patience,
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func TestMain(m *testing.M) {
	for _, built := range []string{binary, companion} {
		if _, err := os.Stat(built); err != nil {
			fmt.Fprintf(os.Stderr, "%v: run make build first\n", err)
			os.Exit(1)
		}
	}
	// Flux's client leaves the text of a refusal unread, and so its connection open.
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"),
		goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}
