package process_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/test/kubernetes/process"
)

// parent makes this test a process that starts another one and waits.
const parent = "PROCESS_TEST_PARENT"

func TestMain(m *testing.M) {
	if folder := os.Getenv(parent); folder != "" {
		child, err := process.Start(shell(folder, "exec sleep 600"))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(child.PID())
		<-child.Done()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func shell(folder, script string) process.Spec {
	return process.Spec{Path: "/bin/sh", Args: []string{"-c", script}, Dir: folder}
}

func TestOutput(t *testing.T) {
	t.Setenv("KEPT_FROM_IT", "secret")
	spec := shell(t.TempDir(), `echo "home=$HOME extra=$EXTRA kept=$KEPT_FROM_IT" >&2; pwd; exit 3`)
	spec.Env = []string{"EXTRA=yes"}
	p, err := process.Start(spec)
	require.NoError(t, err)
	<-p.Done()
	require.ErrorContains(t, p.Failure(), "sh ended: exit status 3")
	assert.Equal(t, fmt.Sprintf("home=%s extra=yes kept=\n%s\n", spec.Dir, spec.Dir), p.Tail())
}

func TestStop(t *testing.T) {
	t.Parallel()
	p, err := process.Start(shell(t.TempDir(), `trap 'echo stopped; exit' TERM; echo ready; while :; do sleep 0.01; done`))
	require.NoError(t, err)
	ready(t, p)
	require.NoError(t, p.Failure())
	p.Stop(time.Minute)
	assert.Equal(t, "ready\nstopped\n", p.Tail())
	p.Stop(time.Minute)
	p.Kill()
}

func TestStopKills(t *testing.T) {
	t.Parallel()
	p, err := process.Start(shell(t.TempDir(), `trap '' TERM; echo ready; while :; do sleep 0.01; done`))
	require.NoError(t, err)
	ready(t, p)
	p.Stop(50 * time.Millisecond)
	require.ErrorContains(t, p.Failure(), "signal: killed")
}

func ready(t *testing.T, p *process.Process) {
	t.Helper()
	require.Eventually(t, func() bool { return p.Tail() == "ready\n" }, time.Minute, time.Millisecond)
}

func TestNoSuchProgram(t *testing.T) {
	t.Parallel()
	_, err := process.Start(process.Spec{Path: "/no/such/program", Dir: t.TempDir()})
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A program does not survive a test that is killed.
func TestKilledTest(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can end a program together with its parent")
	}
	test := exec.Command(os.Args[0])
	test.Env = append(os.Environ(), parent+"="+t.TempDir())
	output, err := test.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, test.Start())
	line, err := bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err, line)
	require.NoError(t, syscall.Kill(pid, 0))
	require.NoError(t, test.Process.Kill())
	_ = test.Wait()
	require.Eventually(t, func() bool { return gone(pid) }, time.Minute, time.Millisecond)
}

// gone also counts a process that nobody waits for.
func gone(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(status), ") Z ")
}

func TestFreePort(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 100 {
		port, err := process.FreePort()
		require.NoError(t, err)
		require.False(t, seen[port])
		seen[port] = true
	}
}
