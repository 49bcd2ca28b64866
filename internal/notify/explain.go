package notify

// explanations are for people who ask why a type was told nothing.
var explanations = map[string]string{
	RuleCommitStatus:    "a commit-status update is for the types that set commit statuses, and for webhooks",
	RuleNoCommitStatus:  "the event is neither a commit-status update nor an error, and names no commit",
	RuleNoChangeRequest: "the event belongs to no pull or merge request",
	RuleProgressing:     "work in progress is no result",
	RuleNoGitCommit:     "the event's revision is no Git commit",
	RuleNoState:         "the event's severity is neither info nor error, and tells of neither success nor failure",
	RuleNotANumber:      "the event's pull or merge request is no plain number",
	RuleHelmRepository:  "a HelmRepository's event belongs to no change that could be traced",
}

// Explain says for people why types filter events by a rule.
func Explain(rule string) string { return explanations[rule] }
