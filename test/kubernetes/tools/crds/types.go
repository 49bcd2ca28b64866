// Package crds requires the types that the CRDs of Provider and Alert are
// generated from.
package crds

// The controller keeps the types of its API in a module of their own.
import _ "github.com/fluxcd/notification-controller/api/v1beta3"
