// Package fluxtraceconnector makes traces of the log records of Flux events:
// one of every source revision, the source as its root, and what became of the
// revision below it.
//
//go:generate go tool -modfile=../../tools/go.mod mdatagen metadata.yaml
package fluxtraceconnector
