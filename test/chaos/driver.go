package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// body is an event as kustomize-controller reports it: object, resource
// version, severity and number differ.
const body = `{"involvedObject":{"kind":"Kustomization","namespace":"team-%d","name":"webapp-%03d","uid":"7d0cdc51-ddcf-4743-b223-83ca5c699632","apiVersion":"kustomize.toolkit.fluxcd.io/v1","resourceVersion":"%d"},` +
	`"severity":"%s","timestamp":"2026-03-21T20:20:20Z","message":"` + marker + `%07d of object %03d: Deployment/apps/webapp configured\nService/apps/webapp configured\nIngress/apps/webapp configured",` +
	`"reason":"%s","metadata":{"kustomize.toolkit.fluxcd.io/revision":"main@sha1:731f7eaddfb6af01cb2173e18f0f75b0ba780ef1","event.toolkit.fluxcd.io/env":"prod"},` +
	`"reportingController":"kustomize-controller","reportingInstance":"kustomize-controller-7c7b47f5f-8bhrp"}`

// marker precedes the number of an event, by which a sink knows it.
const marker = "event number "

const (
	// objects is how many objects the events are of. Each has a sender of its
	// own, which sends one event after the other, so that they have an order.
	objects = 100
	// teams are the namespaces of the objects.
	teams = 10
	// longestWait bounds what a refusal asks of a sender, so that a row takes
	// minutes and not hours.
	longestWait = time.Second
	// shortestWait is for connections that are refused.
	shortestWait = 100 * time.Millisecond
)

func newBody(n, object int) string {
	severity, reason := "info", "ReconciliationSucceeded"
	if n/objects%3 == 0 {
		severity, reason = "error", "ReconciliationFailed"
	}
	return fmt.Sprintf(body, object%teams, object, n, severity, n, object, reason)
}

// driver posts numbered events, and comes again where it is refused, as Flux's
// client does; unlike that it never gives up.
type driver struct {
	url    string
	rate   int // events in a second
	ledger *ledger
	client *http.Client
}

func newDriver(address string, rate int, l *ledger) *driver {
	return &driver{
		url:    "http://" + address + "/",
		rate:   rate,
		ledger: l,
		client: &http.Client{
			Timeout:   20 * time.Second,
			Transport: &http.Transport{MaxIdleConnsPerHost: objects, MaxConnsPerHost: objects},
		},
	}
}

// run posts until posting ends, and returns when everything that was sent by
// then is accepted, or ctx ends.
func (d *driver) run(ctx, posting context.Context) {
	defer d.client.CloseIdleConnections()
	var wg sync.WaitGroup
	due := make([]chan struct{}, objects)
	for object := range due {
		due[object] = make(chan struct{}, 1<<16)
		wg.Go(func() {
			for range due[object] {
				if ctx.Err() == nil {
					d.post(ctx, d.ledger.next(), object)
				}
			}
		})
	}
	ticker := time.NewTicker(time.Second / time.Duration(d.rate))
	defer ticker.Stop()
	for object := 0; posting.Err() == nil; object = (object + 1) % objects {
		select {
		case <-ticker.C:
			due[object] <- struct{}{}
		case <-posting.Done():
		}
	}
	for _, c := range due {
		close(c)
	}
	wg.Wait()
}

// burst posts so many events as fast as they are answered.
func (d *driver) burst(ctx context.Context, size int) {
	defer d.client.CloseIdleConnections()
	var wg sync.WaitGroup
	for object := range objects {
		wg.Go(func() {
			for n := object; n < size && ctx.Err() == nil; n += objects {
				d.post(ctx, d.ledger.next(), object)
			}
		})
	}
	wg.Wait()
}

// post sends one event until it is accepted.
func (d *driver) post(ctx context.Context, n, object int) {
	text := newBody(n, object)
	for ctx.Err() == nil {
		status, retryAfter := d.try(ctx, text)
		if d.ledger.answer(n, status, retryAfter) {
			return
		}
		wait := shortestWait
		if seconds, err := strconv.Atoi(retryAfter); err == nil {
			wait = min(longestWait, time.Duration(seconds)*time.Second)
		}
		pause(ctx, wait)
	}
}

func (d *driver) try(ctx context.Context, text string) (status int, retryAfter string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, strings.NewReader(text))
	if err != nil {
		return noAnswer, ""
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := d.client.Do(req)
	if err != nil {
		return noAnswer, ""
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Header.Get("Retry-After")
}

// pause waits, unless the end comes first.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
