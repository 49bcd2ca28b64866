package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// A library of the Google types starts it, and never ends it.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"))
}

var update = flag.Bool("update", false, "write the golden files")

// canary stands where a secret stands. No output has it.
const canary = "canary-5ecr3t"

// command runs one as a shell would.
func command(t *testing.T, in string, args ...string) (out, errOut string, code int) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(in), &stdout, &stderr)
	for _, printed := range []string{stdout.String(), stderr.String()} {
		require.NotContains(t, printed, canary)
		require.NotContains(t, printed, "\x1b[", "colour, and this is no terminal")
	}
	return stdout.String(), stderr.String(), code
}

// userAgent is the header as text and as JSON, the last of its request in both.
var userAgent = regexp.MustCompile(`(?m)^ *User-Agent: otelcol-flux/\S+\n|,\s*\{\s*"name": "User-Agent",\s*"value": "otelcol-flux/[^"]+"\s*\}`)

// golden compares with a file of testdata, which is the same for every version.
func golden(t *testing.T, name, got string) {
	t.Helper()
	got = userAgent.ReplaceAllString(got, "")
	file := filepath.Join("testdata", name+".golden")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "written with -update")
	assert.Equal(t, string(want), got, file)
}

func eventFile(name string) string {
	return filepath.Join("..", "..", "testdata", "events", name+".json")
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}
