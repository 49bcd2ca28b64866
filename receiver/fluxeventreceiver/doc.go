// Package fluxeventreceiver takes the events that Flux controllers post, and
// makes a log record of each.
//
//go:generate go tool -modfile=../../tools/go.mod mdatagen metadata.yaml
package fluxeventreceiver
