// Package fluxnotifyexporter sends log records as notifications through a Flux
// provider: it matches them as a Flux Alert does, stores the notifications in an
// outbox, renders and delivers them.
//
//go:generate go tool -modfile=../../tools/go.mod mdatagen metadata.yaml
package fluxnotifyexporter
