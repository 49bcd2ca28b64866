package gitcomment

import (
	"context"

	"github.com/fluxnotify/otelcol-flux/internal/notify"
)

// account is who speaks, asked for once. What failed is asked for again.
type account struct {
	ask   func(context.Context) (string, error)
	known chan string // holds the name while nobody asks; empty: not known yet
}

func newAccount(ask func(context.Context) (string, error)) *account {
	a := &account{ask: ask, known: make(chan string, 1)}
	a.known <- ""
	return a
}

// name gives the account's name; asked tells that it has just been asked for.
func (a *account) name(ctx context.Context) (name string, asked bool, err error) {
	name, err = a.take(ctx)
	if err != nil {
		return "", false, err
	}
	defer func() { a.known <- name }()
	if name != "" {
		return name, false, nil
	}
	name, err = a.fetch(ctx)
	return name, true, err
}

// again asks anew, unless somebody has since the name was the old one.
func (a *account) again(ctx context.Context, old string) (name string, err error) {
	name, err = a.take(ctx)
	if err != nil {
		return "", err
	}
	defer func() { a.known <- name }()
	if name != old && name != "" {
		return name, nil
	}
	name, err = a.fetch(ctx)
	return name, err
}

func (a *account) fetch(ctx context.Context) (string, error) {
	name, err := a.ask(ctx)
	if err != nil {
		return "", err
	}
	if name == "" {
		return "", notify.Retryablef("answer", "the endpoint does not name the account of the credentials")
	}
	return name, nil
}

func (a *account) take(ctx context.Context) (string, error) {
	select {
	case name := <-a.known:
		return name, nil
	case <-ctx.Done():
		return "", &notify.Error{Class: notify.Retryable, Type: "timeout", Err: context.Cause(ctx)}
	}
}
