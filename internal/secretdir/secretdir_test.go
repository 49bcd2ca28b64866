package secretdir

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func write(t *testing.T, path, value string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(value), 0o600))
}

// mount lays a folder out as Kubernetes does: the files stand in a folder of
// their own, to which ..data links, and every key links through that.
func mount(t *testing.T, dir, version string, secret map[string]string) {
	t.Helper()
	require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
	for key, value := range secret {
		write(t, filepath.Join(dir, version, key), value)
		link := filepath.Join(dir, key)
		if _, err := os.Lstat(link); os.IsNotExist(err) {
			require.NoError(t, os.Symlink(filepath.Join("..data", key), link))
		}
	}
	require.NoError(t, os.Symlink(version, filepath.Join(dir, "..data_tmp")))
	require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
}

func TestReadPlainFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "token"), "s3cr3t\n")
	write(t, filepath.Join(dir, "empty"), "")
	write(t, filepath.Join(dir, ".hidden"), "no key")
	write(t, filepath.Join(dir, "..data"), "no key either")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	write(t, filepath.Join(dir, "folder", "token2"), "not of this folder")
	require.NoError(t, os.Symlink("folder", filepath.Join(dir, "link-to-folder")))
	require.NoError(t, os.Symlink("token", filepath.Join(dir, "link")))

	secret, err := Read(dir)
	require.NoError(t, err)
	assert.Equal(t, Secret{"token": []byte("s3cr3t\n"), "empty": {}, "link": []byte("s3cr3t\n")}, secret)
}

func TestReadEmptyFolder(t *testing.T) {
	t.Parallel()
	secret, err := Read(t.TempDir())
	require.NoError(t, err)
	assert.Equal(t, Secret{}, secret)
}

func TestReadKubernetesFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount(t, dir, "..2026_03_21_20_20_20.1", map[string]string{"token": "one", "ca.crt": "pem"})
	secret, err := Read(dir)
	require.NoError(t, err)
	assert.Equal(t, Secret{"token": []byte("one"), "ca.crt": []byte("pem")}, secret)

	mount(t, dir, "..2026_03_21_20_21_20.2", map[string]string{"token": "two", "ca.crt": "pem2"})
	secret, err = Read(dir)
	require.NoError(t, err)
	assert.Equal(t, Secret{"token": []byte("two"), "ca.crt": []byte("pem2")}, secret)
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside")
	write(t, outside, "of somebody else")
	tests := map[string]struct {
		make func(t *testing.T, dir string)
		want string
	}{
		"a link out of the folder": {
			func(t *testing.T, dir string) {
				t.Helper()
				require.NoError(t, os.Symlink(outside, filepath.Join(dir, "token")))
			}, "file token cannot be read: ",
		},
		"a relative link out of the folder": {
			func(t *testing.T, dir string) {
				t.Helper()
				target, err := filepath.Rel(dir, outside)
				require.NoError(t, err)
				require.NoError(t, os.Symlink(target, filepath.Join(dir, "token")))
			}, "file token cannot be read: ",
		},
		"a link to nothing": {
			func(t *testing.T, dir string) {
				t.Helper()
				require.NoError(t, os.Symlink("..data/token", filepath.Join(dir, "token")))
			}, "file token cannot be read: ",
		},
		"a large file": {
			func(t *testing.T, dir string) {
				t.Helper()
				require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), bytes.Repeat([]byte("x"), maxFile+1), 0o600))
			}, "file token is larger than 1 MiB",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, filepath.Join(dir, "address"), "https://example.com")
			test.make(t, dir)
			secret, err := Read(dir)
			require.ErrorContains(t, err, test.want)
			assert.Nil(t, secret)
			assert.NotContains(t, err.Error(), "somebody")
		})
	}
}

func TestReadLargestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "token"), bytes.Repeat([]byte("x"), maxFile), 0o600))
	secret, err := Read(dir)
	require.NoError(t, err)
	assert.Len(t, secret["token"], maxFile)
}

func TestReadNoFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "absent")
	_, err := Read(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "cannot be read: ")
	write(t, dir, "a file")
	_, err = Read(dir)
	require.ErrorContains(t, err, "cannot be read: ")
}

func TestExposed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount(t, dir, "..2026_03_21_20_20_20.1", map[string]string{"token": "one", "ca.crt": "pem", "password": "p"})
	assert.Empty(t, Exposed(dir))
	for _, key := range []string{"token", "password"} {
		require.NoError(t, os.Chmod(filepath.Join(dir, key), 0o644)) // Kubernetes' default
	}
	require.NoError(t, os.Chmod(filepath.Join(dir, "ca.crt"), 0o440))
	assert.Equal(t, []string{"password", "token"}, Exposed(dir))
	assert.Empty(t, Exposed(filepath.Join(dir, "absent")))
}
