// Package version knows the version of this build.
package version

import (
	"runtime/debug"
	"strings"
	"sync"
)

// module is the module whose version counts: the main module of fluxnotify, and a
// dependency of every collector with these components.
const module = "github.com/fluxnotify/otelcol-flux"

// unreleased is the version where neither the linker nor the build information has
// one. It equals that of the distribution in builder-config.yaml.
const unreleased = "0.1.0"

// Version is set by the linker:
//
//	-ldflags '-X github.com/fluxnotify/otelcol-flux/internal/version.Version=1.2.3'
var Version string

// String is the version, without a leading v: the linker's, else that of the
// module in the build information, else the one in the source.
var String = sync.OnceValue(func() string {
	info, _ := debug.ReadBuildInfo()
	return choose(Version, info)
})

// UserAgent is the value of the header of that name.
func UserAgent() string { return "otelcol-flux/" + String() }

func choose(linked string, info *debug.BuildInfo) string {
	for _, candidate := range []string{linked, ofModule(info), unreleased} {
		if v := strings.TrimPrefix(candidate, "v"); v != "" && v != "(devel)" {
			return v
		}
	}
	return ""
}

// ofModule is the version in the build information; "" where a folder replaces
// the module, whose required version means nothing then.
func ofModule(info *debug.BuildInfo) string {
	if info == nil {
		return ""
	}
	if info.Main.Path == module {
		return info.Main.Version
	}
	for _, dependency := range info.Deps {
		if dependency.Path != module {
			continue
		}
		if dependency.Replace != nil {
			return dependency.Replace.Version
		}
		return dependency.Version
	}
	return ""
}
