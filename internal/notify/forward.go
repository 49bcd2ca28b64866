package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
)

// EventJSON is the event as Flux writes it: what types send that hand events on
// to other machines.
func (n *Notification) EventJSON() ([]byte, error) {
	body, err := json.Marshal(&n.Event)
	if err != nil {
		return nil, errors.New("the event cannot be written as JSON")
	}
	return body, nil
}

// MessageID tells repetitions of a message from other messages. Two alerts may
// want the same bytes told: each is a message of its own.
func (n *Notification) MessageID(body []byte) string {
	id := sha256.New()
	id.Write([]byte(n.Alert.UID + "\n"))
	id.Write(body)
	return hex.EncodeToString(id.Sum(nil))
}
