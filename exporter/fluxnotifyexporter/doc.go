// Package fluxnotifyexporter tells Flux notification providers of log records:
// it filters them as a Flux Alert would, renders them for the configured
// provider type and delivers them.
//
//go:generate go tool -modfile=../../tools/go.mod mdatagen metadata.yaml
package fluxnotifyexporter
