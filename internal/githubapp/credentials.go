package githubapp

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fluxnotify/otelcol-flux/internal/httpsend"
	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// Speaker is who speaks to GitHub: the owner of a token, or an App.
type Speaker struct {
	// Authorize gives the Authorization header; nil: there is none.
	Authorize func(context.Context) (string, error)
	// Heard goes with it, for httpsend.Options; nil for a token.
	Heard func(authorization string, status int) bool
	// App is nil where a token is used.
	App *App
	// Missing says what is not set; empty: nothing is.
	Missing string
}

// Credentials are those of the settings: the token, else the password, which Git
// itself takes for a token, else a GitHub App. base is that of the API.
func Credentials(s notify.Settings, base string) (Speaker, error) {
	token := s.Token
	if token == "" {
		token = s.Password
	}
	if token != "" {
		authorization := "Bearer " + token
		return Speaker{Authorize: func(context.Context) (string, error) { return authorization, nil }}, nil
	}
	app, err := New(s, base)
	switch {
	case err != nil:
		return Speaker{}, err
	case app == nil:
		return Speaker{Missing: "token: must be set, or password, or as files of secret_dir " + keyID + ", " +
			keyInstallation + " or " + keyOwner + ", and " + keyPrivateKey}, nil
	}
	return Speaker{Authorize: app.Authorize, Heard: app.Heard, App: app}, nil
}

// aMinute is how long a secondary limit lasts at least, where GitHub does not
// say how long
// (https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit).
const aMinute = time.Minute

// Judge recognises the secondary rate limit where words alone tell it from a
// lack of rights, for httpsend.Options.
func Judge(a httpsend.Answer) (*notify.Error, bool) {
	if a.Status != http.StatusForbidden && a.Status != http.StatusTooManyRequests {
		return nil, false
	}
	if _, asked := httpsend.RetryAfter(a.Header, time.Time{}); asked || !strings.Contains(strings.ToLower(string(a.Body)), "secondary rate limit") {
		return nil, false
	}
	return &notify.Error{
		Class: notify.Throttled, Type: strconv.Itoa(a.Status), Delay: aMinute,
		Err: errors.New("answered " + strconv.Itoa(a.Status) + ": a secondary rate limit is used up"),
	}, true
}
