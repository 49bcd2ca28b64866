package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// outboxFile is the file of the exporter flux_notify in the folder of file_storage.
const outboxFile = "exporter_flux_notify__outbox"

// unusable makes the storage unusable while the collector is down, in several ways. The
// collector must not start then: it would accept events that it cannot keep, or start
// without those that wait. It must say why, and start once the storage is usable.
func unusable(ctx context.Context, s *stage) error {
	given := s.persistent()
	file := given.storage + "/" + outboxFile
	c, err := s.start(ctx, given)
	if err != nil {
		return err
	}
	defer s.watch(ctx)()
	d := newDriver(c.address, s.rate, s.ledger)
	defer d.client.CloseIdleConnections()
	refusals := 0
	for name, spoil := range map[string]func(file string) (mend func() error, err error){
		"folder": folderInstead, "locked": lock, "newer": ofNewerVersion, "unreadable": unreadable,
	} {
		s.sink.down()
		d.each(ctx, 20)
		c.kill()
		before := s.ledger.missing()
		mend, err := spoil(file)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := s.mustNotStart(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		refusals++
		if err := errors.Join(mend(), c.start(ctx), bit(before >= 20, "nothing waited"), s.sink.up()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !s.await(ctx, func() bool { return s.ledger.missing() == 0 }) {
			return fmt.Errorf("%s: %d of %d notifications that waited are not delivered", name, s.ledger.missing(), before)
		}
	}
	s.note("%d starts refused", refusals)
	return s.verdict()
}

// mustNotStart starts a program that has to end with an error that names the exporter
// and the storage.
func (s *stage) mustNotStart(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, starting)
	defer cancel()
	cmd := p.command()
	output, err := outputOf(ctx, cmd)
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("the collector starts, or hangs, on a storage that it cannot use:\n%s", output)
	case !errors.As(err, &exit) || exit.ExitCode() <= 0:
		return fmt.Errorf("the collector should end with an error: %w\n%s", errors.Join(err, errNoReason), output)
	}
	_, last, _ := strings.Cut(output, "Error: ")
	for _, word := range []string{`"flux_notify"`, `"file_storage"`} {
		if !strings.Contains(last, word) {
			return fmt.Errorf("the error does not name %s: %s", word, last)
		}
	}
	if strings.Contains(output, "goroutine 1 [") {
		return fmt.Errorf("the collector panics:\n%s", output)
	}
	return nil
}

// outputOf runs a program to its end, and kills it when the context ends.
func outputOf(ctx context.Context, cmd *exec.Cmd) (string, error) {
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	err := cmd.Wait()
	return output.String(), err
}

// folderInstead puts a folder in place of the file.
func folderInstead(file string) (mend func() error, err error) {
	away := file + ".away"
	return func() error { return errors.Join(os.Remove(file), os.Rename(away, file)) },
		errors.Join(os.Rename(file, away), os.Mkdir(file, 0o700))
}

// lock locks the file, as another collector with the same folder does.
func lock(file string) (mend func() error, err error) {
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return nil, err
	}
	return db.Close, nil
}

// ofNewerVersion raises the version of the stored format.
func ofNewerVersion(file string) (mend func() error, err error) {
	// Field 1 of the head is the version.
	return rewriteHead(file, func(head []byte) []byte { return append([]byte{}, append(head, 0x08, 99)...) })
}

// unreadable writes a head that is not in the stored format.
func unreadable(file string) (mend func() error, err error) {
	return rewriteHead(file, func([]byte) []byte { return []byte("\xff\xff\xff") })
}

// rewriteHead changes the head of the stored format, and returns how to restore it.
func rewriteHead(file string, change func([]byte) []byte) (mend func() error, err error) {
	var before []byte
	set := func(next func([]byte) []byte) error {
		db, err := bbolt.Open(file, 0o600, &bbolt.Options{Timeout: time.Second})
		if err != nil {
			return err
		}
		err = db.Update(func(tx *bbolt.Tx) error {
			bucket := tx.Bucket([]byte("default"))
			if bucket == nil || bucket.Get([]byte("outbox")) == nil {
				return fmt.Errorf("there is no head in %s", file)
			}
			before = append([]byte{}, bucket.Get([]byte("outbox"))...)
			return bucket.Put([]byte("outbox"), next(before))
		})
		return errors.Join(err, db.Close())
	}
	if err := set(change); err != nil {
		return nil, err
	}
	kept := before
	return func() error { return set(func([]byte) []byte { return kept }) }, nil
}
