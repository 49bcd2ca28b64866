package azureeventhub_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fluxnotify/otelcol-flux/internal/testca"
)

// python is Debian's, whose package python3-qpid-proton speaks AMQP.
const python = "/usr/bin/python3"

const (
	hub     = "flux-events"
	keyName = "RootManageSharedAccessKey"
	keyText = "s3cret+key/of=the+policy="
	patient = 20 * time.Second
)

var haveProton = sync.OnceValue(func() bool {
	return exec.Command(python, "-c", "import proton").Run() == nil
})

// options of a broker.
type options struct {
	port           int
	jwt            []string
	maxMessageSize int
	ca             *testca.Authority // nil: no TLS
}

// said is a line of the broker's.
type said struct {
	Event string `json:"event"`
	Port  int    `json:"port"`
	// open
	Hostname   string         `json:"hostname"`
	Mechanism  string         `json:"mechanism"`
	Properties map[string]any `json:"properties"`
	// token
	Type, Audience, Operation, Token, Expiration, Said string
	Status                                             int
	// attach
	Address    string
	Authorized bool
	// message
	Body        string         `json:"body"`
	ID          string         `json:"id"`
	ContentType string         `json:"content_type"`
	Annotations map[string]any `json:"annotations"`
	Envelope    map[string]any `json:"envelope"`
}

// broker is a process that stands for Event Hubs.
type broker struct {
	t       *testing.T
	options options
	command *exec.Cmd
	stdin   io.WriteCloser
	port    int
	heard   map[string]chan said
	read    chan struct{}
}

// run starts a broker on a free port, or on the one that the options name.
func run(t *testing.T, o options) *broker {
	t.Helper()
	if !haveProton() {
		t.Skip("needs Debian's python3-qpid-proton")
	}
	if o.maxMessageSize == 0 {
		o.maxMessageSize = 1 << 20
	}
	arguments := []string{
		filepath.Join("testdata", "broker.py"), "--port", strconv.Itoa(o.port), "--hub", hub,
		"--key-name", keyName, "--key-value", keyText, "--max-message-size", strconv.Itoa(o.maxMessageSize),
	}
	for _, token := range o.jwt {
		arguments = append(arguments, "--jwt", token)
	}
	if o.ca != nil {
		certificate, key := testca.PairPEM(t, o.ca.Issue(t, testca.Leaf{}))
		for name, text := range map[string]string{"certificate": certificate, "key": key} {
			file := filepath.Join(t.TempDir(), name)
			require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
			arguments = append(arguments, "--"+name, file)
		}
	}
	b := &broker{t: t, options: o, command: exec.Command(python, arguments...), heard: map[string]chan said{}, read: make(chan struct{})}
	for _, kind := range []string{"listening", "open", "token", "attach", "message", "rejected", "ignored", "gone", "done"} {
		b.heard[kind] = make(chan said, 10_000)
	}
	b.command.Stderr = os.Stderr
	var err error
	b.stdin, err = b.command.StdinPipe()
	require.NoError(t, err)
	stdout, err := b.command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, b.command.Start())
	t.Cleanup(b.kill)
	go b.listen(stdout)
	b.port = b.next("listening").Port
	return b
}

func (b *broker) listen(stdout io.Reader) {
	defer close(b.read)
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var s said
		if json.Unmarshal(lines.Bytes(), &s) != nil || b.heard[s.Event] == nil {
			panic("the broker says: " + lines.Text())
		}
		b.heard[s.Event] <- s
	}
}

// kill ends the process without a word to its peers. It may be called again.
func (b *broker) kill() {
	_ = b.command.Process.Kill()
	<-b.read
	_ = b.command.Wait()
}

// again starts a broker where a killed one was.
func (b *broker) again() *broker {
	b.t.Helper()
	o := b.options
	o.port = b.port
	return run(b.t, o)
}

// next waits for something to be said.
func (b *broker) next(kind string) said {
	b.t.Helper()
	select {
	case s := <-b.heard[kind]:
		return s
	case <-time.After(patient):
		require.Fail(b.t, "the broker does not say "+kind)
		return said{}
	}
}

// all is what has been said so far, by a broker that may have been killed.
func (b *broker) all(kind string) []said {
	b.t.Helper()
	if b.command.ProcessState == nil {
		b.orders(map[string]any{"do": "nothing"}) // the lines before its answer have been read
	}
	var all []said
	for {
		select {
		case s := <-b.heard[kind]:
			all = append(all, s)
		default:
			return all
		}
	}
}

// orders something and waits until it is done.
func (b *broker) orders(command map[string]any) {
	b.t.Helper()
	line, err := json.Marshal(command)
	require.NoError(b.t, err)
	_, err = b.stdin.Write(append(line, '\n'))
	require.NoError(b.t, err)
	b.next("done")
}

func (b *broker) behave(events map[string]any) {
	b.t.Helper()
	b.orders(map[string]any{"do": "behave", "events": events})
}

// repeatsTokens refuses every token, and says which it was.
func (b *broker) repeatsTokens() {
	b.t.Helper()
	b.orders(map[string]any{"do": "behave", "refuse_token": map[string]any{"status": 401, "description": "no good: {token}"}})
}

func (b *broker) host() string { return fmt.Sprintf("127.0.0.1:%d", b.port) }

// connection is a connection string for it.
func (b *broker) connection(more string) string {
	s := fmt.Sprintf("Endpoint=sb://%s;SharedAccessKeyName=%s;SharedAccessKey=%s%s", b.host(), keyName, keyText, more)
	if b.options.ca == nil {
		s += ";UseDevelopmentEmulator=true"
	}
	return s
}
