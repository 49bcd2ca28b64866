// Package gitstatus is what the commit-status types share: what a status says
// and under which name, that the same is not written twice, and that nothing
// older is written over something newer. A type adds two calls of its vendor's
// API, and the words for states.
//
// What was written is remembered while the collector runs. After a restart the
// first event of each status is written, should it differ from what is there:
// the time at which a vendor says that a status was made is that of its writing,
// which tells nothing of the time of the event behind it.
//
// Nothing is escaped: vendors show names and descriptions as plain text.
package gitstatus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/gitrepo"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/newest"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

// Status is what is said of a commit.
type Status struct {
	Commit string `json:"commit"`
	// Key is what the vendor knows the status by.
	Key string `json:"key"`
	// Genre goes with the key, where the vendor groups statuses.
	Genre string `json:"genre,omitempty"`
	// Name is what people see, where that is not the key.
	Name        string `json:"name,omitempty"`
	State       string `json:"state"`
	Description string `json:"description"`
	URL         string `json:"url,omitempty"`
}

// Says tells whether two statuses say the same.
func (s Status) Says(other Status) bool {
	return s.State == other.State && s.Description == other.Description
}

// Vendor does the calls of one API, on one repository. Its errors are those of
// httpsend.Transport's Failure.
type Vendor interface {
	// Newest is the newest status of the commit with the key (and genre) of s;
	// found is false where there is none.
	Newest(ctx context.Context, s Status) (newest Status, found bool, err error)
	// Check reads in the repository what credentials with no more rights than a
	// delivery needs may read, or is notify.ErrUncheckable.
	Check(ctx context.Context) error
	// Post writes a status.
	Post(ctx context.Context, s Status) error
}

// Options are what types differ in.
type Options struct {
	// Vendor does the calls.
	Vendor Vendor
	// Repository names the repository among all, for the memory.
	Repository string
	// Missing says which setting is not there yet; until it is, notifications fail
	// and say so, as they do in Flux.
	Missing string
	// Success, Failure and Pending are the states. Without the last, what is in
	// progress is not told.
	Success, Failure, Pending string
	// Hashes are those of the host.
	Hashes gitrepo.Hashes
	// MaxKey and MaxDescription are limits of the API, in characters. 0: none.
	MaxKey, MaxDescription int
	// Complete adds what the vendor's statuses have besides. nil: nothing.
	// identity is the key before any limit.
	Complete func(s *Status, n *notify.Notification, identity string)
}

// Provider writes the statuses of one repository.
type Provider struct {
	options    Options
	expression *expression // nil: the usual identity
	uid        string
	order      *newest.Order
	logger     *zap.Logger
}

// New makes a provider of a vendor's calls.
func New(s notify.Settings, o Options) (*Provider, error) {
	uid, _, _ := strings.Cut(s.UID, "-")
	p := &Provider{options: o, uid: uid, order: newest.In(s.Memory), logger: s.Logger}
	if s.CommitStatusExpr != "" {
		var err error
		if p.expression, err = compile(s); err != nil {
			return nil, err
		}
	}
	if o.Missing != "" {
		s.Logger.Warn(o.Missing + "; until then its notifications fail")
	}
	return p, nil
}

// Rules leave events out, for the table.
type Rules struct {
	// Progress is told as well.
	Progress bool
	// Hashes are those of the host.
	Hashes gitrepo.Hashes
}

// Skips leaves out what no status can be written of.
func (r Rules) Skips(e *fluxevent.Event) (rule string, skip bool) {
	if rule, skip := notify.SkipsProgressing(e); skip && !r.Progress {
		return rule, true
	}
	if e.Severity != fluxevent.SeverityInfo && !e.IsError() {
		return notify.RuleNoState, true
	}
	_, found := gitrepo.Commit(e.Metadata, &e.InvolvedObject, r.Hashes)
	return notify.RuleNoGitCommit, !found
}

// Render implements notify.Provider.
func (p *Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	commit, found := gitrepo.Commit(n.Own, &n.Event.InvolvedObject, p.options.Hashes)
	if !found {
		return nil, nil
	}
	identity, err := p.identity(n)
	if err != nil {
		return nil, err
	}
	s := Status{
		Commit: commit, Key: shortKey(identity, p.options.MaxKey), State: p.state(&n.Event),
		Description: text.Shorten(text.Description(n.Event.Reason), text.InRunes, p.options.MaxDescription),
	}
	if p.options.Complete != nil {
		p.options.Complete(&s, n, identity)
	}
	body, err := json.Marshal(s)
	if err != nil {
		return nil, errors.New("the status cannot be written as JSON")
	}
	return []notify.Payload{{Method: http.MethodPost, Body: body, Key: s.Key, Object: n.Subject(), Time: n.Place()}}, nil
}

func (p *Provider) state(e *fluxevent.Event) string {
	switch {
	case e.IsError():
		return p.options.Failure
	case e.Reason == "Progressing" && p.options.Pending != "":
		return p.options.Pending
	}
	return p.options.Success
}

// identity tells the status of one object and provider from all others.
func (p *Provider) identity(n *notify.Notification) (string, error) {
	if p.expression != nil {
		return p.expression.evaluate(n)
	}
	o := &n.Event.InvolvedObject
	return strings.ToLower(o.Kind + "/" + o.Name + "/" + p.uid), nil
}

// shortKey cuts a key to a limit, and keeps keys apart that begin alike.
func shortKey(key string, limit int) string {
	shortened := text.Shorten(key, text.InRunes, limit)
	if shortened == key {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	mark := " " + hex.EncodeToString(sum[:4])
	return text.Shorten(key, text.InRunes, limit-len(mark)) + mark
}

// Deliver implements notify.Provider.
func (p *Provider) Deliver(ctx context.Context, payload notify.Payload) error {
	if p.options.Missing != "" {
		return notify.Permanentf("configuration", "%s", p.options.Missing)
	}
	var s Status
	if err := json.Unmarshal(payload.Body, &s); err != nil {
		return notify.Permanentf("rendering", "the status cannot be read: %w", err)
	}
	key := strings.Join([]string{p.options.Repository, strings.ToLower(s.Commit), s.Genre, s.Key}, "\x00")
	ctx = httpsend.OneDelivery(ctx)
	written, err := p.order.Write(ctx, key, payload.Time, func() error {
		there, found, err := p.options.Vendor.Newest(ctx, s)
		if err != nil {
			return err
		}
		if found && there.Says(s) {
			return nil
		}
		return p.options.Vendor.Post(ctx, s)
	})
	if err == nil && !written {
		p.logger.Debug("superseded: a later event has written this status", zap.String("object", payload.Object), zap.Time("time", payload.Time))
	}
	return err
}

// Check implements notify.Checker.
func (p *Provider) Check(ctx context.Context) error {
	if p.options.Missing != "" {
		return notify.Permanentf("configuration", "%s", p.options.Missing)
	}
	return p.options.Vendor.Check(ctx)
}

// Empty answers as the API of a repository without statuses: a row's OK, where
// lists are arrays and everything else is an object.
func Empty(w http.ResponseWriter, r *http.Request) {
	answer := "{}"
	if r.Method == http.MethodGet {
		answer = "[]"
	}
	_, _ = io.WriteString(w, answer)
}

// Absent answers likewise as an API that reads one status by its key.
func Absent(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		w.WriteHeader(http.StatusNotFound)
	}
	_, _ = io.WriteString(w, "{}")
}

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Checker  = (*Provider)(nil)
)
