// Package gitcomment is what the types for comments on change requests share:
// what a comment says, that every object has one and no more, and that nothing
// older is written over something newer. A type adds four calls of its vendor's
// API.
//
// A comment is found again by a marker at its beginning, which nobody sees, and
// by its author, since anybody can copy the marker. So it is found by whichever
// collector speaks with that account, after a restart too, and by the next try
// where the answer to its creation was lost.
//
// What was written is remembered while the collector runs. After a restart the
// first event of each object is written, should it differ from what is there:
// comments do not tell the time of the event behind them.
//
// What the event says is escaped as text.QuietGit and text.Git do: it is shown,
// mentions nobody, refers to no issue and gives no command. What the operator
// wrote in the alert passes as markdown.
package gitcomment

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/fluxnotify/otelcol-flux/internal/fluxevent"
	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/newest"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/providers/report"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

// Comment is what is said of an object on a change request.
type Comment struct {
	// Request is the number of the change request.
	Request int `json:"change_request"`
	// Marker is the beginning of the body, the same for every comment of the
	// object and of no other.
	Marker string `json:"marker"`
	Body   string `json:"body"`
}

// There is a comment that a vendor has.
type There struct {
	ID     int64
	Author string
	Body   string
}

// Vendor does the calls of one API, on one repository. Its errors are those of
// httpsend.Transport's Failure.
type Vendor interface {
	// Check reads in the repository what credentials with no more rights than a
	// delivery needs may read, or is notify.ErrUncheckable.
	Check(ctx context.Context) error
	// Self is the name of the account that speaks, as There's Author has it; empty
	// where the answer names none. Every host takes names for the same that differ
	// in case alone.
	Self(ctx context.Context) (string, error)
	// Comments are those of a change request, whoever wrote them, the oldest
	// first. A page is asked for when its comments are wanted. An error is the
	// last of them.
	Comments(ctx context.Context, request int) iter.Seq2[There, error]
	// Create adds a comment.
	Create(ctx context.Context, request int, body string) error
	// Edit replaces the body of one.
	Edit(ctx context.Context, request int, id int64, body string) error
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
	// Word begins the marker.
	Word string
	// Size measures a comment, and Max is the limit of it.
	Size text.Size
	Max  int
}

// Provider comments on the change requests of one repository.
type Provider struct {
	options Options
	uid     string
	style   report.Style
	order   *newest.Order
	logger  *zap.Logger
	account *account
}

// New makes a provider of a vendor's calls. The account is not in the memory:
// other credentials may be those of another.
func New(s notify.Settings, o Options) (*Provider, error) {
	if s.UID == "" && o.Missing == "" {
		// Every provider without one would take the same comments for its own.
		o.Missing = "uid: must not be empty for the type " + s.Type + ", or be left out"
	}
	if o.Missing != "" {
		s.Logger.Warn(o.Missing + "; until then its notifications fail")
	}
	return &Provider{
		options: o, uid: s.UID, order: newest.In(s.Memory), logger: s.Logger, account: newAccount(o.Vendor.Self),
		style: report.Style{Size: o.Size, Total: o.Max, Stranger: stranger},
	}, nil
}

func stranger(s string) text.Part {
	return text.Part{Text: text.QuietGit(s), Escape: text.Git}
}

// Skips leaves out what belongs to no change request that there can be.
func Skips(e *fluxevent.Event) (rule string, skip bool) {
	_, ok := number(e.Metadata)
	return notify.RuleNotANumber, !ok
}

// number is that of the change request, by the event's own metadata: an alert
// must not decide where something is written. Another way to write it, such as
// +7 or 07, would be another change request to some hosts.
func number(metadata map[string]string) (int, bool) {
	value := metadata[notify.ChangeRequestKey]
	n, err := strconv.Atoi(value)
	return n, err == nil && n > 0 && strconv.Itoa(n) == value
}

// Render implements notify.Provider.
func (p *Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	request, ok := number(n.Own)
	if !ok {
		return nil, nil
	}
	c := Comment{Request: request, Marker: marker(p.options.Word, p.uid, &n.Event.InvolvedObject)}
	c.Body = report.Write(n, c.Marker+"\n\n", p.style)
	body, err := json.Marshal(c)
	if err != nil {
		return nil, errors.New("the comment cannot be written as JSON")
	}
	return []notify.Payload{{Method: http.MethodPost, Body: body, Object: n.Subject(), Time: n.Place()}}, nil
}

// Deliver implements notify.Provider.
func (p *Provider) Deliver(ctx context.Context, payload notify.Payload) error {
	if p.options.Missing != "" {
		return notify.Permanentf("configuration", "%s", p.options.Missing)
	}
	var c Comment
	if err := json.Unmarshal(payload.Body, &c); err != nil {
		return notify.Permanentf("rendering", "the comment cannot be read: %w", err)
	}
	key := strings.Join([]string{p.options.Repository, strconv.Itoa(c.Request), c.Marker}, "\x00")
	ctx = httpsend.OneDelivery(ctx)
	written, err := p.order.Write(ctx, key, payload.Time, func() error {
		there, found, err := p.find(ctx, c)
		switch {
		case err != nil:
			return err
		case !found:
			return p.options.Vendor.Create(ctx, c.Request, c.Body)
		case plain(there.Body) == plain(c.Body):
			return nil
		}
		return p.options.Vendor.Edit(ctx, c.Request, there.ID, c.Body)
	})
	if err == nil && !written {
		p.logger.Debug("superseded: a later event has written this comment", zap.String("object", payload.Object), zap.Time("time", payload.Time))
	}
	return err
}

// plain is a body without what a host may do to it: GitLab drops carriage returns
// and what is empty at the end
// (https://gitlab.com/gitlab-org/gitlab/-/blob/master/lib/gitlab/quick_actions/extractor.rb),
// an editor in a browser adds carriage returns.
func plain(body string) string {
	return strings.TrimRight(strings.ReplaceAll(body, "\r", ""), " \t\n\v\f\x00")
}

// find looks for the comment of an object. A comment that has the marker and
// another author may be ours even so, where our account has been renamed since
// it was asked for.
func (p *Provider) find(ctx context.Context, c Comment) (There, bool, error) {
	self, asked, err := p.account.name(ctx)
	if err != nil {
		return There{}, false, err
	}
	there, found, copied, err := p.search(ctx, c, self)
	if err != nil || found || !copied || asked {
		return there, found, err
	}
	now, err := p.account.again(ctx, self)
	if err != nil || now == self {
		return There{}, false, err
	}
	there, found, _, err = p.search(ctx, c, now)
	return there, found, err
}

// search goes through the comments; copied tells that another author's has the
// marker.
func (p *Provider) search(ctx context.Context, c Comment, self string) (there There, found, copied bool, err error) {
	for there, err := range p.options.Vendor.Comments(ctx, c.Request) {
		if err != nil {
			return There{}, false, false, err
		}
		if !strings.HasPrefix(there.Body, c.Marker) {
			continue
		}
		if strings.EqualFold(there.Author, self) {
			return there, true, copied, nil
		}
		copied = true
	}
	return There{}, false, copied, nil
}

// Check implements notify.Checker.
func (p *Provider) Check(ctx context.Context) error {
	if p.options.Missing != "" {
		return notify.Permanentf("configuration", "%s", p.options.Missing)
	}
	return p.options.Vendor.Check(ctx)
}

// Empty answers as the API of a repository without comments: a row's OK, where
// there is an account, lists are arrays and everything else is an object.
func Empty(w http.ResponseWriter, r *http.Request) {
	answer := "{}"
	switch {
	case strings.HasSuffix(r.URL.Path, "/user"):
		answer = `{"id":5,"login":"flux","username":"flux"}`
	case r.Method == http.MethodGet:
		answer = "[]"
	}
	_, _ = io.WriteString(w, answer)
}

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Checker  = (*Provider)(nil)
)
