package notify

import "github.com/fluxnotify/otelcol-flux/internal/fluxevent"

// Takes is a class of providers by the events that they take.
type Takes int

// The classes. Which events a type takes is a property of the type, not of an
// alert: a commit-status update is no news to a chat room.
const (
	// TakesNews is what people read: everything but commit-status updates.
	TakesNews Takes = iota + 1
	// TakesAll forwards events to other machines.
	TakesAll
)

// RuleCommitStatus is the rule by which news leave commit-status updates out.
const RuleCommitStatus = "commit_status_update"

// Filters tells whether this class leaves the event out, and by which rule.
// The event is the original, before any alert has changed its metadata.
func (t Takes) Filters(e *fluxevent.Event) (rule string, filtered bool) {
	if t == TakesNews && isCommitStatusUpdate(e) {
		return RuleCommitStatus, true
	}
	return "", false
}

func isCommitStatusUpdate(e *fluxevent.Event) bool {
	group := e.InvolvedObject.Group()
	return group != "" && e.Metadata[group+"/commit_status"] == "update"
}

// RuleProgressing is the rule of types that report results alone.
const RuleProgressing = "progressing"

// SkipsProgressing is for rows of such types: work in progress is no result.
func SkipsProgressing(e *fluxevent.Event) (rule string, skip bool) {
	return RuleProgressing, e.Reason == "Progressing"
}
