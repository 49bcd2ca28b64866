package text_test

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/fluxnotify/otelcol-flux/internal/text"
)

func TestDescription(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"":                            "",
		"Progressing":                 "progressing",
		"HealthCheckFailed":           "health check failed",
		"ReconciliationSucceeded":     "reconciliation succeeded",
		"HTTPError":                   "http error",
		"GitOperationHTTP":            "git operation http",
		"OCIPullFailed":               "oci pull failed",
		"Sha256Mismatch":              "sha 256 mismatch",
		"HTTP2Error":                  "http 2 error",
		"42":                          "42",
		"health-check failed":         "health-check failed",
		"health-check   failed _ été": "health-check failed _ été",
		" Health\tCheck\n":            "health check",
		"UPPER_CASE":                  "upper_case",
		"Health-Check":                "health-check",
		"ÉtéÇaVa":                     "été ça va",
		"E\u0301te\u0301Fini":         "e\u0301te\u0301 fini",
		"部署Failed":                    "部署 failed",
		"a":                           "a",
		"AB":                          "ab",
		"ABc":                         "a bc",
		"AE\u0301te":                  "a e\u0301te",
	} {
		assert.Equal(t, want, text.Description(reason), "%q", reason)
	}
	assert.True(t, utf8.ValidString(text.Description("\xff\xfeFailed")))
}
