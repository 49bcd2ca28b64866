// Package outbox stores notifications until they are delivered, and says which one
// is due. It knows nothing of HTTP, alerts or vendors: to it a notification is bytes
// for a target, in a lane.
//
// The life of a notification:
//
//	Accept  stores it. Accept returns once it is durable.
//	Next    returns it when it is due: first in its lane, and its delay is over.
//	Done    removes it.
//	Again   makes it due later. It stays first in its lane.
//	Fail    keeps it with its reason, for a look and a second try.
//
// Notifications of one lane of a target are due one after the other, in the order of
// acceptance. Lanes do not wait for each other.
//
// # Stored format
//
// Version 1. The outbox uses a storage.Client, which has keys and values, and
// transactions of several operations. It needs no list of keys: entries are kept in
// numbered slots, and a slot is used again when its entry has been removed.
//
//	key "outbox"     the version, the epoch, and the number of slots ever used
//	key "n%08x"      the entry in that slot; absent if the slot is free
//
// Values are protocol buffers without a schema file; format.go has the field numbers.
// Unknown fields are ignored, so that fields can be added. A change that an older
// version would misread raises the version, and an older version then refuses to
// start.
//
// The order of acceptance is the entry's sequence number: the epoch, which grows with
// every start, above a counter. It does not depend on any clock.
package outbox
