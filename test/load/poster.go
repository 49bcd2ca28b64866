package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// defaultObjects is how many objects events are about.
const defaultObjects = 500

const body = `{"involvedObject":{"kind":"Kustomization","namespace":"team-%d","name":"webapp-%06d","uid":"7d0cdc51-ddcf-4743-b223-83ca5c699632","apiVersion":"kustomize.toolkit.fluxcd.io/v1","resourceVersion":"%d"},` +
	`"severity":"info","timestamp":"2026-03-21T20:20:20Z","message":"` + marker + `%07d: Deployment/apps/webapp configured\nService/apps/webapp configured\nIngress/apps/webapp configured",` +
	`"reason":"Progressing","metadata":{"kustomize.toolkit.fluxcd.io/revision":"main@sha1:731f7eaddfb6af01cb2173e18f0f75b0ba780ef1","event.toolkit.fluxcd.io/env":"prod"},` +
	`"reportingController":"kustomize-controller","reportingInstance":"kustomize-controller-7c7b47f5f-8bhrp"}`

// posting is the longest time of one request.
const posting = 30 * time.Second

// poster posts events over one connection, as Flux's controllers do with net/http.
type poster struct {
	url     string
	objects int
	client  *http.Client
}

// post sends an event until it is accepted. It reports false if the context ends before.
func (p *poster) post(ctx context.Context, n int) bool {
	object := n % p.objects
	text := fmt.Sprintf(body, object%10, object, n, n)
	for ctx.Err() == nil {
		if p.try(ctx, text) {
			return true
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return false
}

func (p *poster) try(ctx context.Context, text string) (accepted bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader(text))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := p.client.Do(req)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	// 429: an earlier attempt was accepted.
	return res.StatusCode == http.StatusAccepted || res.StatusCode == http.StatusTooManyRequests
}

// post sends every event, and returns how many were accepted. each is called for every
// tenth.
func (s scenario) post(ctx context.Context, address string, senders int, each func()) int {
	objects := s.objects
	if objects == 0 {
		objects = defaultObjects
	}
	next := make(chan int, senders)
	accepted := make(chan int, senders)
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			p := poster{
				url: "http://" + address + "/", objects: objects,
				client: &http.Client{Timeout: posting, Transport: &http.Transport{MaxConnsPerHost: 1}},
			}
			defer p.client.CloseIdleConnections()
			n := 0
			for i := range next {
				if p.post(ctx, i) {
					n++
				}
			}
			accepted <- n
		})
	}
	for i := range s.events {
		next <- i
		if (i+1)%max(s.events/10, 1) == 0 {
			each()
		}
	}
	close(next)
	wg.Wait()
	close(accepted)
	total := 0
	for n := range accepted {
		total += n
	}
	return total
}
