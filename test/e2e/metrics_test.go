package e2e

import (
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/stretchr/testify/assert"
)

// page is the collector's own metrics as Prometheus reads them.
func (c *collector) page() string {
	res, err := client.Get("http://" + c.metrics + "/metrics")
	if err != nil {
		return ""
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return ""
	}
	return string(body)
}

var sample = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? ([0-9.e+]+)$`)

// Notifications is how many notifications had an outcome.
func (c *collector) Notifications(outcome string) int {
	return c.Count("otelcol_exporter_flux_notify_notifications", `outcome="`+outcome+`"`)
}

// Count is the sum of a metric's samples that have all of the labels.
func (c *collector) Count(name string, labels ...string) int {
	sum := 0
	for line := range strings.Lines(c.page()) {
		parts := sample.FindStringSubmatch(strings.TrimSpace(line))
		if parts == nil || parts[1] != name {
			continue
		}
		matches := true
		for _, label := range labels {
			matches = matches && strings.Contains(parts[2], label)
		}
		if value, err := strconv.ParseFloat(parts[3], 64); matches && assert.NoError(c.t, err) {
			sum += int(value)
		}
	}
	return sum
}
