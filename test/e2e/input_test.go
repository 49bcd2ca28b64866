package e2e

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// marker is in everything that is refused, to be looked for in the log.
const marker = "qzjxkvw"

func sign(key string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func gzipped(t *testing.T, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(body)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	const limit = 4096
	c, s := newCollector(t), newSink(t, nil)
	key := c.Secret("key of the signature", "hmac-key-bad-input")
	c.Start(spec{
		level:     "info",
		receiver:  `{max_request_body_size: 4096, signature: {keys: ["` + key + `"]}}`,
		exporters: `flux_notify: {type: generic, address: "` + s.URL + `"}`,
	})
	good, err := json.Marshal(newEvent("apps", marker))
	require.NoError(t, err)
	large := []byte(`{"message":"` + strings.Repeat(marker, limit) + `"}`)
	before := c.Printed()
	for name, tc := range map[string]struct {
		method, path string
		header       map[string]string
		body         []byte
		unsigned     bool
		status       int
		says         string
	}{
		"not JSON":            {body: []byte(`{"message": ` + marker), status: http.StatusBadRequest, says: "not JSON"},
		"empty":               {body: nil, status: http.StatusBadRequest, says: "empty"},
		"a list":              {body: []byte(`["` + marker + `"]`), status: http.StatusBadRequest, says: "one JSON object"},
		"no object":           {body: []byte(`{"message":"` + marker + `"}`), status: http.StatusBadRequest, says: "involvedObject.kind"},
		"no name":             {body: []byte(`{"involvedObject":{"kind":"` + marker + `"}}`), status: http.StatusBadRequest, says: "involvedObject.name"},
		"a wrong field":       {body: []byte(`{"message":["` + marker + `"]}`), status: http.StatusBadRequest, says: "message is an array"},
		"a wrong time":        {body: []byte(`{"timestamp":"` + marker + `"}`), status: http.StatusBadRequest, says: "RFC 3339"},
		"two events":          {body: append(bytes.Clone(good), good...), status: http.StatusBadRequest, says: "not JSON"},
		"too large":           {body: large, status: http.StatusRequestEntityTooLarge, says: "too large"},
		"too large unpacked":  {body: gzipped(t, large), header: map[string]string{"Content-Encoding": "gzip"}, status: http.StatusRequestEntityTooLarge, says: "too large"},
		"an unknown encoding": {body: good, header: map[string]string{"Content-Encoding": marker}, status: http.StatusBadRequest, says: "Content-Encoding"},
		"not gzip":            {body: good, header: map[string]string{"Content-Encoding": "gzip"}, status: http.StatusBadRequest, says: "gzip"},
		"no signature":        {body: good, unsigned: true, status: http.StatusUnauthorized, says: "X-Signature is missing"},
		"a wrong signature":   {body: good, unsigned: true, header: map[string]string{"X-Signature": sign(marker, good)}, status: http.StatusUnauthorized, says: "does not match"},
		"another's body":      {body: good, unsigned: true, header: map[string]string{"X-Signature": sign(key, []byte("{}"))}, status: http.StatusUnauthorized, says: "does not match"},
		"an odd algorithm":    {body: good, unsigned: true, header: map[string]string{"X-Signature": "md5=" + marker}, status: http.StatusUnauthorized, says: "sha256"},
		"another path":        {body: good, path: "/" + marker, status: http.StatusNotFound, says: "not found"},
		"another method":      {body: good, method: http.MethodPut, status: http.StatusMethodNotAllowed, says: "POST"},
	} {
		header := map[string]string{}
		if !tc.unsigned {
			header["X-Signature"] = sign(key, tc.body)
		}
		maps.Copy(header, tc.header)
		if tc.method == "" {
			tc.method = http.MethodPost
		}
		if tc.path == "" {
			tc.path = "/"
		}
		res := c.Send(tc.method, tc.path, header, tc.body)
		assert.Equal(t, tc.status, res.status, "%s: %s", name, res.body)
		assert.Contains(t, res.body, tc.says, name)
		assert.Regexp(t, `^[^\n]+\n$`, res.body, "%s: one line is expected", name)
		assert.Contains(t, res.header.Get("Content-Type"), "text/plain", name)
		if tc.status == http.StatusMethodNotAllowed {
			assert.Equal(t, http.MethodPost, res.header.Get("Allow"))
		}
	}
	assert.Equal(t, before, c.Printed(), "strangers could fill the log")

	// What was refused is not known: the same event is taken when it is right.
	res := c.Send(http.MethodPost, "/", map[string]string{"X-Signature": sign(key, good)}, good)
	assert.Equal(t, http.StatusAccepted, res.status, res.body)
	assert.Empty(t, res.body)
	packed := newEvent("apps", "packed")
	body, err := json.Marshal(packed)
	require.NoError(t, err)
	res = c.Send(http.MethodPost, "/", map[string]string{"X-Signature": sign(key, body), "Content-Encoding": "gzip"}, gzipped(t, body))
	assert.Equal(t, http.StatusAccepted, res.status, res.body)
	s.Wait(2)
	c.Stop()
	assert.Len(t, s.Requests(), 2)
}

// The answers that Flux's client lives by.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	c, s := newCollector(t), newSink(t, nil)
	c.Start(generic(s.URL))
	failed, well := newEvent("apps", "it fails"), newEvent("apps", "it is well")
	failed.Severity = eventv1.EventSeverityError
	assert.Equal(t, http.StatusAccepted, c.Post(failed).status)
	res := c.Post(failed)
	assert.Equal(t, http.StatusTooManyRequests, res.status)
	assert.Equal(t, "duplicate", res.header.Get("X-Flux-Event"))
	assert.Empty(t, res.body, "Flux's client would not read it")
	assert.Equal(t, http.StatusAccepted, c.Post(well).status)
	assert.Equal(t, http.StatusAccepted, c.Post(failed).status, "a relapse is news")
	c.Stop()
	assert.Equal(t, map[string]int{"it fails": 2, "it is well": 1}, messages(t, s.Accepted()))
}

// Every recorded event arrives as it was posted, but for the metadata, which is
// combined for whoever is notified.
func TestRecordedEvents(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "events", "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	c, s := newCollector(t), newSink(t, nil)
	c.Start(spec{
		receiver:  "deduplication: {interval: 0s}",
		exporters: `flux_notify: {type: generic, address: "` + s.URL + `"}`,
	})
	for i, file := range files {
		body, err := os.ReadFile(file)
		require.NoError(t, err)
		res := c.Send(http.MethodPost, "/", nil, body)
		require.Equal(t, http.StatusAccepted, res.status, "%s: %s", file, res.body)
		assert.JSONEq(t, withoutMetadata(t, string(body)), withoutMetadata(t, s.Wait(i + 1)[i].body), file)
	}
}

func withoutMetadata(t *testing.T, body string) string {
	t.Helper()
	var fields map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &fields))
	delete(fields, "metadata")
	text, err := json.Marshal(fields)
	require.NoError(t, err)
	return string(text)
}
