package kubernetes

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/types"
)

// A Secret that was named during a list may have been passed over by it.
func TestNamedDuringList(t *testing.T) {
	t.Parallel()
	s := newSecrets(t.Context(), nil, newSignals(), func(func()) {})
	n := &secretNamespace{secrets: s, name: "apps", entries: map[string]*secret{}}
	s.namespaces["apps"] = n
	name := func(n string) types.NamespacedName { return types.NamespacedName{Namespace: "apps", Name: n} }
	one := map[string][]byte{"token": []byte("one")}

	n.need(map[string]bool{"a": true, "b": true})
	n.whole = &feed{}
	n.begin()
	assert.Nil(t, n.trim(object(map[string]any{"metadata": map[string]any{"name": "c"}})), "the data of others is dropped")
	n.need(map[string]bool{"a": true, "b": true, "c": true})
	n.replace(map[types.NamespacedName]any{name("a"): one})
	r := s.read(time.Now())
	assert.Equal(t, map[types.NamespacedName]map[string][]byte{name("a"): one}, r.data)
	assert.Equal(t, map[types.NamespacedName]string{name("b"): "does not exist", name("c"): "has not been read yet"}, r.missing)
	assert.Equal(t, 1, r.pending)

	// Its own list is older than the watch.
	sink := &secretSink{namespace: n, name: "c", entry: n.entries["c"]}
	n.set(name("c"), one)
	sink.replace(map[types.NamespacedName]any{})
	assert.Contains(t, s.read(time.Now()).data, name("c"))

	n.set(name("a"), map[string][]byte{"token": []byte(strings.Repeat("x", maxSecretSize))})
	assert.Equal(t, "has 512 KiB of data, and at most 512 KiB are accepted", s.read(time.Now()).missing[name("a")])
	n.need(map[string]bool{"c": true})
	r = s.read(time.Now())
	assert.Len(t, r.data, 1)
	assert.Empty(t, r.missing)
}
