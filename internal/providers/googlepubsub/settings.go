package googlepubsub

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// The limits of a message, beside its size:
// https://cloud.google.com/pubsub/quotas#resource_limits
const (
	maxAttributes     = 100
	maxAttributeKey   = 256  // bytes
	maxAttributeValue = 1024 // bytes
	// https://cloud.google.com/pubsub/docs/ordering
	maxOrderingKey = 1024 // bytes
)

var (
	// projectID is an ID, or a number, of which emulators take any:
	// https://cloud.google.com/resource-manager/docs/creating-managing-projects
	projectID = regexp.MustCompile(`^([a-z0-9.-]+:)?[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	// topicID as in https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names
	topicID = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._~+%-]{2,254}$`)
)

// reserved begins the names that are Google's own.
const reserved = "goog"

func checkProject(address string) error {
	if !projectID.MatchString(address) {
		return errors.New("address: must be the ID of a Google Cloud project, such as my-project")
	}
	return nil
}

func checkTopic(channel string) error {
	if !topicID.MatchString(channel) || strings.HasPrefix(channel, reserved) {
		return fmt.Errorf("channel: %q is not the ID of a topic: 3 to 255 letters, digits and any of -._~+%%, a letter first, not beginning with %s, and without projects/…/topics/", channel, reserved)
	}
	return nil
}

// attributesOf makes attributes of headers, of whose names the last wins.
func attributesOf(headers []notify.Header) (map[string]string, error) {
	if len(headers) == 0 {
		return nil, nil
	}
	attributes := make(map[string]string, len(headers))
	for _, h := range headers {
		switch {
		case strings.HasPrefix(h.Name, reserved):
			return nil, fmt.Errorf("headers: an attribute's name cannot begin with %s, as %s does", reserved, h.Name)
		case len(h.Name) > maxAttributeKey:
			return nil, fmt.Errorf("headers: a name has %d bytes, Pub/Sub takes %d", len(h.Name), maxAttributeKey)
		case len(h.Value) > maxAttributeValue:
			return nil, fmt.Errorf("headers: the value of %s has %d bytes, Pub/Sub takes %d", h.Name, len(h.Value), maxAttributeValue)
		case !utf8.ValidString(h.Value):
			return nil, fmt.Errorf("headers: the value of %s is not UTF-8", h.Name)
		}
		attributes[h.Name] = h.Value
	}
	if len(attributes) > maxAttributes {
		return nil, fmt.Errorf("headers: there are %d, Pub/Sub takes %d attributes", len(attributes), maxAttributes)
	}
	return attributes, nil
}

// orderingKey is the same for all events of an object and of no other object.
// It is escaped, so that a slash in a name is none between names.
func orderingKey(o *fluxevent.Object) string {
	key := url.PathEscape(o.Kind) + "/" + url.PathEscape(o.Namespace) + "/" + url.PathEscape(o.Name)
	if len(key) <= maxOrderingKey {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}
