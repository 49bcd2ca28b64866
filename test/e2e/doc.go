// Package e2e tests the built collector from outside: it starts the binary,
// posts to it what Flux controllers post, and looks at what arrives.
package e2e
