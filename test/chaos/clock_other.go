//go:build !linux || !amd64

package main

import (
	"os/exec"
	"time"
)

func startAhead(*exec.Cmd, time.Duration) error { return errNoClock }
