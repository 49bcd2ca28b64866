// Package mastodon posts events as statuses of an account on Mastodon.
//
// A status has no markup. After every @ and # of an event stands a zero-width
// space, so that it mentions and tags nobody
// (https://docs.joinmastodon.org/user/posting/#text); a link in it is shown in
// full, and leads where it says. What the operator wrote in the alert passes as
// it is.
package mastodon

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

const (
	// maxStatus is the limit of a status where the instance names no other, in
	// characters (https://docs.joinmastodon.org/user/posting/#text).
	maxStatus = 500
	// The limits that an instance may name (configuration.statuses.max_characters
	// of https://docs.joinmastodon.org/entities/Instance/) and have followed.
	leastLimit, greatestLimit = 200, 10000
	// perURL is what a URL counts for at most above its length, in characters: 23
	// for each, the shortest being as long as http://a.co (the same page).
	perURL = 23 - len("http://a.co")
	// maxSubject bounds the object's name, in characters; Kubernetes' own limits
	// are below.
	maxSubject = 400
	// minText is what remains of the message when metadata is long, in characters.
	minText = 60
	// minValue is what remains of a long value of the metadata, in characters.
	minValue = 20
	// patience is how long the instance has to name its limit.
	patience = 3 * time.Second
	// maxInstance is how much of the instance's description is read, in bytes.
	maxInstance = 1 << 20
)

var visibilities = []string{"public", "unlisted", "private", "direct"}

// Provider posts as one account.
type Provider struct {
	*httpsend.Target
	client     *http.Client
	instance   string
	visibility string
	limit      atomic.Int64
}

// New makes a provider of an instance's address and the access token of an
// account. The channel is the visibility of the statuses.
func New(s notify.Settings) (notify.Provider, error) {
	address, err := httpsend.ParseAddress(s.Address)
	if err != nil {
		return nil, err
	}
	if s.Channel != "" && !slices.Contains(visibilities, s.Channel) {
		return nil, fmt.Errorf("channel: must be a visibility, one of %s", strings.Join(visibilities, ", "))
	}
	target, err := httpsend.New(s, httpsend.Options{Sign: httpsend.Bearer(s.Token), Judge: judge})
	if err != nil {
		return nil, err
	}
	p := &Provider{
		Target:     target,
		client:     s.HTTP,
		instance:   address.JoinPath("api", "v2", "instance").String(),
		visibility: s.Channel,
	}
	p.limit.Store(maxStatus)
	return p, nil
}

// Start asks the instance how long a status may be, without credentials, since
// everybody may know. It goes by the usual limit where there is no answer.
func (p *Provider) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if limit, ok := p.ask(ctx); ok {
		p.limit.Store(int64(limit))
	}
	return nil
}

func (p *Provider) ask(ctx context.Context) (limit int, ok bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.instance, http.NoBody)
	if err != nil {
		return 0, false
	}
	res, err := p.client.Do(req)
	if err != nil {
		return 0, false
	}
	defer func() { _ = res.Body.Close() }()
	var instance struct {
		Configuration struct {
			Statuses struct {
				MaxCharacters int `json:"max_characters"`
			} `json:"statuses"`
		} `json:"configuration"`
	}
	if res.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(res.Body, maxInstance)).Decode(&instance) != nil {
		return 0, false
	}
	limit = instance.Configuration.Statuses.MaxCharacters
	return min(limit, greatestLimit), limit >= leastLimit
}

type status struct {
	Status     string `json:"status"`
	Visibility string `json:"visibility,omitempty"`
}

// Render implements notify.Provider. The key is the event's, so that the
// instance takes a repetition for what it is.
func (p *Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	event, err := json.Marshal(&n.Event)
	if err != nil {
		return nil, errors.New("the event cannot be written as JSON")
	}
	body, err := json.Marshal(status{Status: fit(n, int(p.limit.Load())), Visibility: p.visibility})
	if err != nil {
		return nil, errors.New("the status cannot be written as JSON")
	}
	key := sha256.Sum256(event)
	return []notify.Payload{{
		Method: http.MethodPost,
		Path:   "/api/v1/statuses",
		Header: http.Header{"Idempotency-Key": {hex.EncodeToString(key[:])}},
		Body:   body,
	}}, nil
}

// fit writes a status of at most limit characters, as Mastodon counts them.
// Which URLs are in it is known only once it has been cut.
func fit(n *notify.Notification, limit int) string {
	room := limit
	for {
		s := write(n, room)
		over := utf8.RuneCountInString(s) + perURL*strings.Count(s, "://") - limit
		if over <= 0 || room <= 0 {
			return s
		}
		room -= (over + 1) / 2 // a URL counts for twice its length at most
	}
}

func write(n *notify.Notification, room int) string {
	emoji := "💫 "
	if n.Event.IsError() {
		emoji = "🚨 "
	}
	subject := part(n.Subject())
	subject.Limit = maxSubject
	head := emoji + subject.Render(text.InRunes) + "\n"
	pairs := make([]text.Pair, 0, len(n.Fields))
	for _, f := range n.Fields {
		pair := text.Pair{Key: part(f.Key), Value: part(f.Value), Whole: f.Key == "summary"}
		if f.Operator {
			pair.Key.Escape, pair.Value.Escape = nil, nil
		}
		pairs = append(pairs, pair)
	}
	layout := text.Layout{
		Size: text.InRunes, Total: room - utf8.RuneCountInString(head), Each: len("\n: "), LeastText: minText, LeastValue: minValue,
	}
	told, entries := layout.Fit(part(n.Event.Message), pairs)

	var b strings.Builder
	b.WriteString(head)
	b.WriteString(told)
	for _, e := range entries {
		b.WriteByte('\n')
		b.WriteString(e.Key)
		b.WriteString(": ")
		b.WriteString(e.Value)
	}
	return b.String()
}

// escape parts what begins a mention or a tag from the name behind it. Mastodon
// knows both signs in their wide form too.
func escape(r rune) string {
	switch r {
	case '@':
		return "@\u200b"
	case '#':
		return "#\u200b"
	case '＠':
		return "＠\u200b"
	case '＃':
		return "＃\u200b"
	}
	return ""
}

// part escapes a text where there is anything to escape.
func part(s string) text.Part {
	if strings.IndexFunc(s, func(r rune) bool { return escape(r) != "" }) < 0 {
		return text.Part{Text: s}
	}
	return text.Part{Text: s, Escape: escape}
}

// judge reads when the limit of requests ends, which Mastodon writes as a date
// of ISO 8601 (https://docs.joinmastodon.org/api/rate-limits/).
func judge(a httpsend.Answer) (*notify.Error, bool) {
	if a.Status != http.StatusTooManyRequests || a.Header.Get("Retry-After") != "" {
		return nil, false
	}
	reset, err := time.Parse(time.RFC3339Nano, a.Header.Get("X-Ratelimit-Reset"))
	if err != nil {
		return nil, false
	}
	return &notify.Error{
		Class: notify.Throttled,
		Type:  "429",
		Delay: time.Until(reset),
		Err:   fmt.Errorf("answered 429 Too Many Requests: %s", a.Body),
	}, true
}

// Check implements notify.Checker: the instance tells whose the token is
// (https://docs.joinmastodon.org/methods/accounts/#verify_credentials).
func (p *Provider) Check(ctx context.Context) error {
	return p.At(strings.TrimSuffix(p.Path(), "/")+"/api/v1/accounts/verify_credentials", judgeCredentials).Get(ctx)
}

// judgeCredentials knows that a token which may post and nothing else is
// refused for that alone (https://docs.joinmastodon.org/api/oauth-scopes/).
func judgeCredentials(a httpsend.Answer) (*notify.Error, bool) {
	return nil, a.Status == http.StatusForbidden && bytes.Contains(a.Body, []byte("outside the authorized scopes"))
}

var (
	_ notify.Provider = (*Provider)(nil)
	_ notify.Checker  = (*Provider)(nil)
	_ notify.Starter  = (*Provider)(nil)
)
