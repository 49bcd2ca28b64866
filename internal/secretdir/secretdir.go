// Package secretdir reads and watches folders into which Kubernetes mounts a
// Secret: a file for every key.
package secretdir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxFile bounds a file, in bytes. A Secret cannot be larger as a whole
// (https://kubernetes.io/docs/concepts/configuration/secret/: 1MiB).
const maxFile = 1 << 20

// Secret is what a folder holds, by file name.
type Secret map[string][]byte

// Read reads a folder. Names that begin with a dot are Kubernetes' own.
func Read(dir string) (Secret, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	secret := Secret{}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		value, err := readFile(dir, entry.Name())
		if errors.Is(err, errNoFile) {
			continue
		}
		if err != nil {
			return nil, err
		}
		secret[entry.Name()] = value
	}
	return secret, nil
}

// Exposed names the keys whose files everybody on the machine may read.
func Exposed(dir string) []string {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil // Read says so
	}
	defer func() { _ = root.Close() }()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var exposed []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		info, err := root.Stat(entry.Name())
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&othersRead != 0 {
			exposed = append(exposed, entry.Name())
		}
	}
	return exposed
}

// othersRead is the permission that a secret should not give.
const othersRead = 0o004

var errNoFile = errors.New("not a regular file")

// readFile reads one key. Kubernetes' files are links through ..data, and stay
// in the folder; a link that leads elsewhere is not followed.
func readFile(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	defer func() { _ = root.Close() }()
	info, err := root.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("file %s cannot be read: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, errNoFile
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, fmt.Errorf("file %s cannot be read: %w", name, err)
	}
	defer func() { _ = file.Close() }()
	value, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("file %s cannot be read: %w", name, err)
	}
	if len(value) > maxFile {
		return nil, fmt.Errorf("file %s is larger than 1 MiB", filepath.Base(name))
	}
	return value, nil
}
