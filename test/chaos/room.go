package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// room is a mount namespace of its own, in which programs find another /etc or
// a small disk, while the machine stays as it is. It ends with this program,
// however that ends.
type room struct {
	holder *exec.Cmd
	door   io.Closer // its standard input: closed, it ends
	user   bool      // it has a user namespace too, since this is not root
}

// errSkipped is the error of a row that cannot be played on this machine.
var errSkipped = errors.New("skipped")

// errNoRoom skips the rows that need a room.
var errNoRoom = fmt.Errorf("%w: mounting is not permitted on this machine (unshare)", errSkipped)

// newRoom makes one and runs a script in it, which mounts.
func newRoom(script string) (*room, error) {
	r := &room{user: os.Getuid() != 0}
	flags := "-m"
	if r.user {
		flags = "-rm"
	}
	var complaint strings.Builder
	r.holder = exec.Command("unshare", flags, "sh", "-c", "set -e\n"+script+"\necho ready\nexec cat")
	r.holder.Stderr = &complaint
	door, err := r.holder.StdinPipe()
	if err != nil {
		return nil, err
	}
	r.door = door
	printed, err := r.holder.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := r.holder.Start(); err != nil {
		return nil, errors.Join(errNoRoom, err)
	}
	if line, err := bufio.NewReader(printed).ReadString('\n'); err != nil || line != "ready\n" {
		r.close()
		return nil, fmt.Errorf("%w: %s", errNoRoom, strings.TrimSpace(complaint.String()))
	}
	return r, nil
}

func (r *room) close() {
	_ = r.door.Close()
	_ = r.holder.Wait()
}

// command runs a program in the room, as the same process.
func (r *room) command(cmd *exec.Cmd) *exec.Cmd {
	arguments := []string{"-t", strconv.Itoa(r.holder.Process.Pid), "-m", "--"}
	if r.user {
		arguments = append([]string{"-U", "--preserve-credentials"}, arguments...)
	}
	return exec.Command("nsenter", append(arguments, cmd.Args...)...)
}

// path is where a file of the room is seen from here.
func (r *room) path(inside string) string {
	return filepath.Join("/proc", strconv.Itoa(r.holder.Process.Pid), "root", inside)
}
