package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const body = `{"involvedObject":{"kind":"Kustomization","namespace":"apps","name":"webapp-%03d","uid":"7d0cdc51-ddcf-4743-b223-83ca5c699632","apiVersion":"kustomize.toolkit.fluxcd.io/v1","resourceVersion":"%d"},` +
	`"severity":"info","timestamp":"2026-03-21T20:20:20Z","message":"` + marker + `%07d: Deployment/apps/webapp configured\nService/apps/webapp configured\nIngress/apps/webapp configured",` +
	`"reason":"Progressing","metadata":{"kustomize.toolkit.fluxcd.io/revision":"main@sha1:731f7eaddfb6af01cb2173e18f0f75b0ba780ef1","event.toolkit.fluxcd.io/env":"prod"},` +
	`"reportingController":"kustomize-controller","reportingInstance":"kustomize-controller-7c7b47f5f-8bhrp"}`

// poster posts events over one connection, as Flux's controllers do: with
// net/http, again where they are told to come later.
type poster struct {
	url    string
	client *http.Client
}

func newPoster(address string) *poster {
	return &poster{url: "http://" + address + "/", client: &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}}
}

// post sends an event until it is accepted, at most a hundred times.
func (p *poster) post(n int) bool {
	text := fmt.Sprintf(body, n%500, n, n)
	for range 100 {
		res, err := p.client.Post(p.url, "application/json", strings.NewReader(text))
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			_ = res.Body.Close()
			if res.StatusCode == http.StatusAccepted {
				return true
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func (p *poster) close() { p.client.CloseIdleConnections() }

// process reads what Linux accounts to a process, threads included.
type process int

// cpu is the user and system time used so far, in ticks of 10 ms.
func (p process) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("unexpected /proc/%d/stat", p)
	}
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, err
}

// memory is a line of /proc/PID/status, in MiB.
func (p process) memory(key string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("no %s in /proc/%d/status", key, p)
}
