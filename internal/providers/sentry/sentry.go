// Package sentry sends events to Sentry: an error becomes an event, and so part
// of an issue; everything else becomes a transaction with one span.
//
// The SDK's own client is not used: it queues and reports failures to nobody.
// Here a notification has succeeded when Sentry has taken its envelope
// (https://develop.sentry.dev/sdk/foundations/transport/envelopes/). The
// envelope has no sent_at, so that a repetition is the same bytes, and Sentry
// tells from the event's ID that it has it already.
//
// Nothing is escaped: Sentry shows messages, tags and contexts as plain text.
package sentry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	sdk "github.com/getsentry/sentry-go"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
	"github.com/fluxnotify/otelcol-flux/internal/text"
)

// The limits are those of
// https://develop.sentry.dev/sdk/expected-features/data-handling/#variable-size.
const (
	// maxMessage is the limit of a message, in characters.
	maxMessage = 8192
	// maxTag is the limit of a tag's value, and of its key, in characters.
	maxTag = 200
	// maxContext is the limit of a context such as the metadata, in bytes.
	maxContext = 8 << 10
	// maxTags bounds all tags, in bytes: they are there twice, and an item of an
	// envelope may have 1 MB
	// (https://develop.sentry.dev/sdk/foundations/transport/envelopes/#size-limits).
	maxTags = 256 << 10
	// maxEnvironment is the limit of an environment's name, in characters
	// (https://docs.sentry.io/platforms/go/configuration/environments/).
	maxEnvironment = 64
)

// The headers of the two kinds of items, up to their length.
const (
	itemEvent       = `{"type":"event","length":`
	itemTransaction = `{"type":"transaction","length":`
)

var contentType = []string{"application/x-sentry-envelope"}

// Provider sends to one project. Errors and transactions have rate limits of
// their own, so what an answer means depends on what was sent.
type Provider struct {
	events       *httpsend.Target
	transactions *httpsend.Target
	environment  string
}

// New makes a provider of a DSN, of which the path ends in the project's ID. The
// channel is the environment.
func New(s notify.Settings) (notify.Provider, error) {
	address, err := httpsend.ParseAddress(s.Address)
	if err != nil {
		return nil, err
	}
	key, path := address.User.Username(), strings.TrimSuffix(address.EscapedPath(), "/")
	slash := strings.LastIndexByte(path, '/')
	if key == "" || slash < 0 || slash == len(path)-1 {
		return nil, errors.New("address: must be a DSN such as https://key@o1.ingest.sentry.io/2")
	}
	if err := checkEnvironment(s.Channel); err != nil {
		return nil, err
	}
	auth := "Sentry sentry_version=7, sentry_client=otelcol-flux/1, sentry_key=" + key
	secret, _ := address.User.Password()
	if secret != "" {
		auth += ", sentry_secret=" + secret // of a DSN from before 2017
	}
	header := http.Header{"X-Sentry-Auth": {httpsend.HeaderValue(auth)}}

	s.Secrets = maps.Clone(s.Secrets)
	if s.Secrets == nil {
		s.Secrets = map[string]string{}
	}
	s.Secrets["dsn"], s.Secrets["key"], s.Secrets["secret"] = s.Address, key, secret
	address.User = nil
	address.RawPath = path[:slash] + "/api" + path[slash:] + "/envelope/"
	if address.Path, err = url.PathUnescape(address.RawPath); err != nil {
		return nil, errors.New("address: the path of the DSN cannot be read")
	}
	s.Address = address.String()

	p := &Provider{environment: s.Channel}
	if p.events, err = httpsend.New(s, httpsend.Options{Header: header, Judge: judge("error", "default")}); err != nil {
		return nil, err
	}
	p.transactions, err = httpsend.New(s, httpsend.Options{Header: header, Judge: judge("transaction", "span")})
	return p, err
}

// checkEnvironment refuses what Sentry would drop without a word.
func checkEnvironment(name string) error {
	bad := func(r rune) bool { return r == '/' || unicode.IsSpace(r) }
	if name == "None" || strings.ContainsFunc(name, bad) || utf8.RuneCountInString(name) > maxEnvironment {
		return errors.New("channel: must be an environment of Sentry: at most 64 characters without spaces and slashes, and not None")
	}
	return nil
}

// Render implements notify.Provider.
func (p *Provider) Render(n *notify.Notification) ([]notify.Payload, error) {
	e, o := &n.Event, &n.Event.InvolvedObject
	id, err := p.identify(n)
	if err != nil {
		return nil, err
	}
	event := sdk.Event{
		EventID:     sdk.EventID(hex.EncodeToString(id.event[:])),
		Platform:    "other",
		Level:       sdk.LevelInfo,
		Environment: p.environment,
		ServerName:  e.ReportingController,
		Transaction: o.Kind + ": " + o.Namespace + "/" + o.Name,
		Message:     text.Shorten(e.Message, text.InRunes, maxMessage),
		Timestamp:   n.Time().UTC(),
	}
	if e.IsError() {
		event.Level = sdk.LevelError
		if len(n.Fields) > 0 {
			event.Contexts = map[string]sdk.Context{"metadata": metadata(n)}
		}
		return envelope(itemEvent, &event)
	}
	event.Type = "transaction"
	event.StartTime = event.Timestamp
	event.Tags = tags(n)
	event.Contexts = map[string]sdk.Context{"trace": {"trace_id": id.trace, "span_id": id.root, "op": "event"}}
	event.Spans = []*sdk.Span{{
		TraceID: id.trace, SpanID: id.span, ParentSpanID: id.root, Op: "event", Origin: sdk.SpanOriginManual,
		Tags: event.Tags, StartTime: event.Timestamp, EndTime: event.Timestamp,
	}}
	return envelope(itemTransaction, &event)
}

// ids are what Sentry knows the parts of an envelope by.
type ids struct {
	event [16]byte
	trace sdk.TraceID
	root  sdk.SpanID
	span  sdk.SpanID
}

// identify makes IDs of all that makes an event another one: where its sender
// gave no time, that is the time at which it arrived.
func (p *Provider) identify(n *notify.Notification) (ids, error) {
	whole, err := json.Marshal(&n.Event)
	if err != nil {
		return ids{}, errors.New("the event cannot be written as JSON")
	}
	whole = append(whole, '\n')
	whole = n.Time().UTC().AppendFormat(whole, time.RFC3339Nano)
	whole = append(whole, '\n')
	whole = append(whole, p.environment...)
	sum := sha256.Sum256(whole)
	var id ids
	copy(id.event[:], sum[:])
	copy(id.trace[:], sum[16:])
	copy(id.root[:], sum[:]) // spans are told from each other within their trace alone
	copy(id.span[:], sum[8:])
	// An event's ID has to be a UUID: of version 4, by its bits.
	id.event[6] = id.event[6]&0x0f | 0x40
	id.event[8] = id.event[8]&0x3f | 0x80
	return id, nil
}

// tags are what transactions are found by.
func tags(n *notify.Notification) map[string]string {
	e := &n.Event
	keys, room := make([]string, len(n.Fields)), maxTags
	for i, f := range n.Fields {
		keys[i] = text.Shorten(f.Key, text.InRunes, maxTag)
		room -= text.InJSON(keys[i])
	}
	all := make(map[string]string, len(n.Fields)+6)
	for i, value := range values(n.Fields, maxTag, room) {
		all[keys[i]] = value
	}
	for _, own := range [...]struct{ key, value string }{
		{"flux_involved_object_kind", e.InvolvedObject.Kind},
		{"flux_involved_object_name", e.InvolvedObject.Name},
		{"flux_involved_object_namespace", e.InvolvedObject.Namespace},
		{"flux_reporting_controller", e.ReportingController},
		{"flux_reporting_instance", e.ReportingInstance},
		{"flux_reason", e.Reason},
	} {
		delete(all, own.key) // the event's own counts, even where it is empty
		if own.value != "" {
			all[own.key] = text.Shorten(own.value, text.InRunes, maxTag)
		}
	}
	return all
}

// metadata is what is shown beside an error.
func metadata(n *notify.Notification) sdk.Context {
	room := maxContext
	for _, f := range n.Fields {
		room -= text.InJSON(f.Key) + len(`"":"",`)
	}
	all := make(sdk.Context, len(n.Fields))
	for i, value := range values(n.Fields, 0, room) {
		all[n.Fields[i].Key] = value
	}
	return all
}

// values are those of fields, none longer than a limit in characters, all
// together in a room in bytes. The summary is not cut for the sake of others.
func values(fields []notify.Field, limit, room int) []string {
	cut, used := make([]string, len(fields)), 0
	for i, f := range fields {
		cut[i] = f.Value
		if limit > 0 {
			cut[i] = text.Shorten(f.Value, text.InRunes, limit)
		}
		used += text.InJSON(cut[i])
	}
	if used <= room {
		return cut
	}
	parts := make([]text.Part, 1, 1+len(fields)) // the first, which is cut first, is no value
	for i, f := range fields {
		if f.Key == "summary" {
			room -= text.InJSON(cut[i])
			continue
		}
		parts = append(parts, text.Part{Text: cut[i]})
	}
	fitted := text.Fit(parts, text.InJSON, room, 0)[1:]
	for i, f := range fields {
		if f.Key != "summary" {
			cut[i], fitted = fitted[0], fitted[1:]
		}
	}
	return cut
}

// envelope packs one item.
func envelope(item string, event *sdk.Event) ([]notify.Payload, error) {
	payload, err := event.MarshalJSON() // json.Marshal would read it all once more
	if err != nil {
		return nil, errors.New("the event cannot be written as JSON")
	}
	body := make([]byte, 0, len(payload)+128)
	body = append(body, `{"event_id":"`...)
	body = append(body, event.EventID...)
	body = append(body, "\"}\n"...)
	body = append(body, item...)
	body = strconv.AppendInt(body, int64(len(payload)), 10)
	body = append(body, "}\n"...)
	body = append(body, payload...)
	return []notify.Payload{{Method: http.MethodPost, Header: http.Header{"Content-Type": contentType}, Body: append(body, '\n')}}, nil
}

// Deliver implements notify.Provider.
func (p *Provider) Deliver(ctx context.Context, payload notify.Payload) error {
	_, item, _ := bytes.Cut(payload.Body, []byte("\n"))
	if bytes.HasPrefix(item, []byte(itemEvent)) {
		return p.events.Deliver(ctx, payload)
	}
	return p.transactions.Deliver(ctx, payload)
}

// judge reads the rate limits of some categories in a refusal. They come with
// answers of every status, also for what was not sent; an answer of 200 has
// taken the envelope whatever they say
// (https://develop.sentry.dev/sdk/foundations/transport/rate-limiting/).
func judge(categories ...string) func(httpsend.Answer) (*notify.Error, bool) {
	return func(a httpsend.Answer) (*notify.Error, bool) {
		if a.Status != http.StatusTooManyRequests {
			return nil, false
		}
		delay, found := limited(strings.Join(a.Header.Values("X-Sentry-Rate-Limits"), ","), categories)
		if !found {
			return nil, false // Retry-After says it
		}
		return &notify.Error{
			Class: notify.Throttled, Type: strconv.Itoa(a.Status), Delay: delay,
			Err: errors.New("answered 429 Too Many Requests: a rate limit or a quota is used up"),
		}, true
	}
}

// limited is the longest of the limits for some categories. A limit is
// "seconds:category;category:scope:…", and without categories one for all.
func limited(limits string, categories []string) (delay time.Duration, found bool) {
	for limit := range strings.SplitSeq(limits, ",") {
		parts := strings.Split(strings.ReplaceAll(limit, " ", ""), ":")
		seconds, err := strconv.ParseFloat(parts[0], 64)
		if err != nil || !(seconds >= 0) || len(parts) < 2 {
			continue
		}
		applies := parts[1] == ""
		for category := range strings.SplitSeq(parts[1], ";") {
			for _, own := range categories {
				applies = applies || category == own
			}
		}
		if applies {
			found = true
			delay = max(delay, time.Duration(min(seconds, time.Hour.Seconds())*float64(time.Second)))
		}
	}
	return delay, found
}

var _ notify.Provider = (*Provider)(nil)
