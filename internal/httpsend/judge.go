package httpsend

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// maxDelay bounds what an endpoint may ask for.
const maxDelay = time.Hour

// judge says what an answer means; nil is success. Its return type is error, so
// that success is no non-nil interface around a nil pointer.
func (p *party) judge(host string, a Answer) error {
	if p.options.Judge != nil {
		verdict, ok := p.options.Judge(a)
		if ok && verdict == nil {
			return nil
		}
		if ok {
			said := *verdict
			said.Delay = clamp(verdict.Delay)
			said.Err = errors.New(p.secrets.quote([]byte(host + " " + verdict.Err.Error())))
			return &said
		}
	}
	if a.Status >= 200 && a.Status < 300 {
		return nil
	}
	e := &notify.Error{Type: strconv.Itoa(a.Status), Err: p.describe(host, a)}
	delay, asked := RetryAfter(a.Header, p.options.Now())
	switch {
	case a.Status == http.StatusTooManyRequests,
		asked && a.Status == http.StatusServiceUnavailable,
		rateLimited(a):
		e.Class, e.Delay = notify.Throttled, delay
	case a.Status == http.StatusRequestTimeout, a.Status == http.StatusTooEarly,
		a.Status >= 500 && a.Status != http.StatusNotImplemented:
		e.Class = notify.Retryable
	default:
		e.Class = notify.Permanent
	}
	return e
}

// rateLimited recognises a refusal that is one of rate and not of rights: some
// endpoints answer 403 when a quota is used up.
func rateLimited(a Answer) bool {
	if a.Status != http.StatusUnauthorized && a.Status != http.StatusForbidden {
		return false
	}
	return a.Header.Get("Retry-After") != "" || usedUp(a.Header)
}

// The headers of rate limits: GitHub's and many others' begin with X-, those of
// GitLab and Bitbucket do not.
var (
	remaining = [...]string{"X-Ratelimit-Remaining", "Ratelimit-Remaining"}
	resets    = [...]string{"X-Ratelimit-Reset", "Ratelimit-Reset"}
)

// usedUp reports that nothing is left of a rate limit.
func usedUp(h http.Header) bool {
	return h.Get(remaining[0]) == "0" || h.Get(remaining[1]) == "0"
}

func (p *party) describe(host string, a Answer) error {
	if a.Status >= 300 && a.Status < 400 {
		to, remedy := redirectHost(host, a.Header.Get("Location"))
		return fmt.Errorf("%s answered %d and points to %s, which is not followed: %s", host, a.Status, p.secrets.quote([]byte(to)), remedy)
	}
	status := strings.TrimSpace(strconv.Itoa(a.Status) + " " + http.StatusText(a.Status))
	words := a.Body
	if p.options.Words != nil {
		words = p.options.Words(a)
	}
	if answer := p.secrets.quote(words); answer != "" {
		return fmt.Errorf("%s answered %s: %s", host, status, answer)
	}
	return fmt.Errorf("%s answered %s", host, status)
}

// redirectHost says where a redirect leads, without its path, which may be secret.
func redirectHost(host, location string) (to, remedy string) {
	const leads = "set address to where it leads"
	u, err := url.Parse(location)
	switch {
	case err != nil || location == "":
		return "nowhere", leads
	case u.Host == "", strings.EqualFold(u.Host, host):
		return "another path of the same host", "what address names may have been renamed or moved, set it to where that is now"
	}
	return u.Host, leads
}

// RetryAfter reads how long an endpoint asks to wait, in seconds or until a
// date, or by the reset time of a used-up rate limit.
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	if v := h.Get("Retry-After"); v != "" {
		if seconds, err := strconv.ParseFloat(v, 64); err == nil && seconds >= 0 {
			return clamp(time.Duration(min(seconds, maxDelay.Seconds()) * float64(time.Second))), true
		}
		if date, err := http.ParseTime(v); err == nil {
			return clamp(date.Sub(now)), true
		}
	}
	for i, name := range resets {
		// Some send these with every answer: with something left, another limit
		// was meant, which says no time.
		if left := h.Get(remaining[i]); left != "" && left != "0" {
			continue
		}
		if reset, err := strconv.ParseInt(h.Get(name), 10, 64); err == nil {
			return untilReset(reset, now), true
		}
	}
	return 0, false
}

func untilReset(reset int64, now time.Time) time.Duration {
	const aYear = 365 * 24 * 3600 // a smaller number counts seconds from now
	if reset > aYear {
		return clamp(time.Unix(reset, 0).Sub(now))
	}
	return clamp(time.Duration(max(reset, 0)) * time.Second)
}

func clamp(d time.Duration) time.Duration {
	return min(max(d, 0), maxDelay)
}
