package fluxmanifest

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// maxFile bounds a file, in bytes.
const maxFile = 1 << 20

// maxReading bounds the time that reading a file may block. Regular files of a
// local file system never block; some in /proc do.
const maxReading = 100 * time.Millisecond

// stays is added to the faults of files and folders whose objects were read before.
const stays = ": the objects that were read from it before stay in use"

// Reader reads files, and all files *.yaml and *.yml of folders and of the folders in
// them; names that begin with a dot are left out. It remembers what it has read: a file
// that cannot be read or is not YAML, and a folder that is away, keep the objects that
// they had.
type Reader struct {
	paths   []string
	seed    maphash.Seed
	files   map[string]*readFile
	folders map[string]fs.FileInfo
	order   []string // of the files that were read last
}

// readFile is a file that was read before.
type readFile struct {
	sum uint64
	// file has the objects that are in use.
	file *File
}

// NewReader makes a reader of files and folders.
func NewReader(paths ...string) *Reader {
	r := &Reader{seed: maphash.MakeSeed(), files: map[string]*readFile{}, folders: map[string]fs.FileInfo{}}
	for _, path := range paths {
		r.paths = append(r.paths, filepath.Clean(path))
	}
	return r
}

// Check returns an error for paths that are absent.
func (r *Reader) Check() error {
	var errs []error
	for _, path := range r.paths {
		if _, err := os.Stat(path); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Read reads everything. It never waits for a file, and never fails: what cannot be read
// is a fault of the result.
func (r *Reader) Read() *Manifests {
	w := walk{reader: r, manifests: New(), seen: map[string]bool{}, folders: map[string]fs.FileInfo{}}
	for _, path := range r.paths {
		info, err := os.Stat(path)
		switch {
		case err != nil:
			w.away(path, "cannot be read: "+cause(err))
		case info.IsDir():
			w.folder(path)
		default:
			w.read(path)
		}
	}
	for path := range r.files {
		if !w.seen[path] {
			delete(r.files, path)
		}
	}
	r.folders, r.order = w.folders, w.order
	w.manifests.paths = r.paths
	return w.manifests
}

// walk is one reading of everything.
type walk struct {
	reader    *Reader
	manifests *Manifests
	seen      map[string]bool
	order     []string
	folders   map[string]fs.FileInfo
}

// away keeps the files of a file or folder that cannot be read.
func (w *walk) away(path, text string) {
	kept := false
	if w.reader.files[path] != nil {
		kept = true
		w.keep(path)
	}
	if w.reader.folders[path] != nil {
		kept = w.keepBelow(path)
	}
	if kept {
		text += stays
	}
	w.manifests.AddFault(Problem{File: path, Text: text})
}

// keepBelow keeps the files of a folder, and of those in it.
func (w *walk) keepBelow(folder string) (kept bool) {
	below := folder + string(filepath.Separator)
	for _, file := range w.reader.order {
		if strings.HasPrefix(file, below) {
			kept = true
			w.keep(file)
		}
	}
	for path, info := range w.reader.folders {
		if path == folder || strings.HasPrefix(path, below) {
			w.folders[path] = info
		}
	}
	return kept
}

func (w *walk) keep(file string) {
	if w.seen[file] {
		return
	}
	w.seen[file] = true
	w.order = append(w.order, file)
	w.manifests.add(w.reader.files[file].file)
}

// folder reads the files of a folder, in order. A link to a file is followed, because
// Kubernetes mounts files so; one to a folder is not.
func (w *walk) folder(path string) {
	entries, err := os.ReadDir(path)
	if err != nil {
		w.away(path, "cannot be read: "+cause(err))
		return
	}
	info, err := os.Stat(path)
	if err != nil {
		w.away(path, "cannot be read: "+cause(err))
		return
	}
	if before := w.reader.folders[path]; len(entries) == 0 && before != nil && !os.SameFile(before, info) {
		w.away(path, "is empty, and not the folder that it was: is it still mounted?")
		return
	}
	w.folders[path] = info
	for _, entry := range entries {
		name := filepath.Join(path, entry.Name())
		manifest := filepath.Ext(name) == ".yaml" || filepath.Ext(name) == ".yml"
		switch {
		case strings.HasPrefix(entry.Name(), "."):
		case entry.IsDir() && manifest:
			w.away(name, "is a folder with the name of a file, and is not read")
		case entry.IsDir():
			w.folder(name)
		case manifest:
			w.read(name)
		}
	}
}

// read reads a file, unless it has been read already.
func (w *walk) read(path string) {
	if w.seen[path] {
		return
	}
	text, err := readRegular(path)
	before := w.reader.files[path]
	switch {
	case err != nil:
		w.away(path, err.Error())
		return
	case before == nil:
		before = &readFile{sum: maphash.Bytes(w.reader.seed, text), file: parseFile(path, text)}
		w.reader.files[path] = before
	default:
		before.update(path, text, w.reader.seed)
	}
	w.keep(path)
}

// update parses a file again if it has changed. One that is no longer YAML keeps the
// objects that it had.
func (r *readFile) update(path string, text []byte, seed maphash.Seed) {
	sum := maphash.Bytes(seed, text)
	if sum == r.sum {
		return
	}
	r.sum = sum
	next := parseFile(path, text)
	if next.broken {
		broken := next.faults[len(next.faults)-1]
		broken.Text += stays
		r.file = r.file.withFault(broken)
		return
	}
	r.file = next
}

// withFault is a file with another reason why it cannot be read.
func (f *File) withFault(fault Problem) *File {
	next := *f
	if next.broken {
		next.faults = next.faults[:len(next.faults)-1]
	}
	next.broken = true
	next.faults = append(slices.Clone(next.faults), fault)
	return &next
}

// readRegular reads a regular file, or a link to one. Nothing else is opened.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, errors.New("cannot be read: " + cause(err))
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is " + kindOf(info) + ": only regular files are read")
	}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, errors.New("cannot be read: " + cause(err))
	}
	defer func() { _ = file.Close() }()
	if info, err = file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.New("is no regular file any more")
	}
	_ = file.SetReadDeadline(time.Now().Add(maxReading)) // an error where reading cannot block
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, errors.New("cannot be read: " + cause(err))
	}
	if len(text) > maxFile {
		return nil, errors.New("is larger than 1 MiB, the most that is read of a file")
	}
	return text, nil
}

// cause is an error without the path, which is the fault's file.
func cause(err error) string {
	var wrapped *fs.PathError
	if errors.As(err, &wrapped) {
		return wrapped.Err.Error()
	}
	return err.Error()
}

func kindOf(info fs.FileInfo) string {
	switch mode := info.Mode(); {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "something special"
}

// Load reads files and folders once. The error is about paths that are absent.
func Load(paths ...string) (*Manifests, error) {
	r := NewReader(paths...)
	if err := r.Check(); err != nil {
		return nil, fmt.Errorf("manifests: %w", err)
	}
	return r.Read(), nil
}
