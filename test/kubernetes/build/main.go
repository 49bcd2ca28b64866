// Command build builds the programs and CRDs that the tests need, if the cache
// does not have them yet.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/fluxnotify/otelcol-flux/test/kubernetes/programs"
)

func main() {
	log.SetFlags(0)
	check := flag.Bool("check", false, "build nothing; print a line if something is missing")
	flux := flag.Bool("flux", false, "build the Flux controllers as well, and print their folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *check, *flux)
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, check, flux bool) error {
	cache, err := programs.Open()
	if err != nil {
		return err
	}
	if check {
		if err := cache.Ready(); err != nil {
			log.Printf("The tests with a Kubernetes API server are skipped: %v.", err)
		}
		return nil
	}
	if err := cache.Build(ctx, os.Stderr); err != nil {
		return interrupted(ctx, err)
	}
	if !flux {
		return nil
	}
	if err := cache.BuildFlux(ctx, os.Stderr); err != nil {
		return interrupted(ctx, err)
	}
	_, err = fmt.Fprintln(os.Stdout, cache.FluxControllers())
	return err
}

func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted; run it again to continue")
	}
	return err
}
