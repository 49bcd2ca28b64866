package gitcomment

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
)

// maxKey bounds what a marker takes of the room, in bytes. Kubernetes' names are
// shorter.
const maxKey = 1000

// marker is the HTML comment by which an object's comment is found again, the
// same as Flux's. Names are escaped as in a URL, which changes none of
// Kubernetes': nothing in them ends the comment, nor makes two of them the same.
func marker(word, uid string, o *fluxevent.Object) string {
	parts := []string{uid, o.Kind, o.Namespace, o.Name}
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	key := strings.Join(parts, "/")
	if len(key) > maxKey {
		sum := sha256.Sum256([]byte(key))
		key = "sha256/" + hex.EncodeToString(sum[:])
	}
	return "<!-- " + word + ":" + key + " -->"
}
