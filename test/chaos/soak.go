package main

import (
	"context"
	"time"
)

func soak(context.Context, options, time.Duration) error { return nil }
