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
	// TakesCommits is what says something of a commit: commit-status updates,
	// events that carry a commit, and errors.
	TakesCommits
	// TakesChangeRequests is what belongs to a pull or merge request.
	TakesChangeRequests
)

// The rules by which a class leaves events out.
const (
	// RuleCommitStatus is that of news, for commit-status updates.
	RuleCommitStatus = "commit_status_update"
	// RuleNoCommitStatus is that of commit statuses, for all that is none.
	RuleNoCommitStatus = "no_commit_status"
	// RuleNoChangeRequest is that of comments, for all that belongs to none.
	RuleNoChangeRequest = "no_change_request"
)

// The rules by which types leave further events out.
const (
	// RuleProgressing is that of types that report results alone.
	RuleProgressing = "progressing"
	// RuleNoGitCommit is that of commit statuses, for events whose revision is of
	// something that is not in Git, such as a Helm chart's version.
	RuleNoGitCommit = "no_git_commit"
	// RuleNoState is that of commit statuses, for events whose severity is neither
	// info nor error, so that they tell of neither success nor failure.
	RuleNoState = "no_state"
	// RuleNotANumber is that of comments, for events whose change request is none.
	RuleNotANumber = "change_request_not_a_number"
	// RuleHelmRepository is that of traces, for the events of HelmRepositories.
	RuleHelmRepository = "helm_repository"
)

// The metadata keys by which an event says what it belongs to.
const (
	CommitKey        = fluxevent.Group + "/commit"
	ChangeRequestKey = fluxevent.Group + "/change_request"
)

// Filters tells whether this class leaves the event out, and by which rule.
// The event is the original, before any alert has changed its metadata.
func (t Takes) Filters(e *fluxevent.Event) (rule string, filtered bool) {
	switch {
	case t == TakesNews && isCommitStatusUpdate(e):
		return RuleCommitStatus, true
	case t == TakesCommits && !isCommitStatusUpdate(e) && !has(e, CommitKey) && !e.IsError():
		return RuleNoCommitStatus, true
	case t == TakesChangeRequests && !has(e, ChangeRequestKey):
		return RuleNoChangeRequest, true
	}
	return "", false
}

func has(e *fluxevent.Event, key string) bool {
	_, ok := e.Metadata[key]
	return ok
}

func isCommitStatusUpdate(e *fluxevent.Event) bool {
	group := e.InvolvedObject.Group()
	return group != "" && e.Metadata[group+"/commit_status"] == "update"
}

// SkipsProgressing is for rows of such types: work in progress is no result.
func SkipsProgressing(e *fluxevent.Event) (rule string, skip bool) {
	return RuleProgressing, e.Reason == "Progressing"
}
