package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Entries of the auxiliary vector, see getauxval(3).
const auxVDSO = 33

// startAhead starts a program whose wall clock is ahead of that of the machine, or
// behind it. Its monotonic clock is unchanged, as when NTP or a person sets the clock.
//
// A Go program reads the clock with a function of the vDSO, a page of code that the
// kernel maps into each process. The function is replaced before the program runs. An
// LD_PRELOAD library has no effect on a Go program, and there is no namespace for the
// wall clock.
func startAhead(cmd *exec.Cmd, ahead time.Duration) error {
	// All requests of ptrace must come from the thread that started the program.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return errors.Join(errNoClock, err)
	}
	pid := cmd.Process.Pid
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil || !status.Stopped() {
		return errors.Join(errNoClock, err, cmd.Process.Kill())
	}
	if err := setClock(pid, ahead); err != nil {
		return errors.Join(errNoClock, err, cmd.Process.Kill())
	}
	return syscall.PtraceDetach(pid)
}

// setClock replaces clock_gettime in the vDSO of a process.
func setClock(pid int, ahead time.Duration) error {
	vdso, err := findVDSO(pid)
	if err != nil {
		return err
	}
	memory, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = memory.Close() }()
	image := make([]byte, 2*os.Getpagesize())
	n, err := memory.ReadAt(image, vdso)
	if n < os.Getpagesize() {
		return err
	}
	file, err := elf.NewFile(bytes.NewReader(image[:n]))
	if err != nil {
		return err
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return err
	}
	for _, symbol := range symbols {
		if symbol.Name == "__vdso_clock_gettime" {
			_, err := memory.WriteAt(clockCode(ahead), vdso+int64(symbol.Value))
			return err
		}
	}
	return errors.New("the vDSO has no __vdso_clock_gettime")
}

func findVDSO(pid int) (int64, error) {
	vector, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", pid))
	if err != nil {
		return 0, err
	}
	for ; len(vector) >= 16; vector = vector[16:] {
		if binary.LittleEndian.Uint64(vector) == auxVDSO {
			return int64(binary.LittleEndian.Uint64(vector[8:])), nil
		}
	}
	return 0, errors.New("the process has no vDSO")
}

// clockCode is int clock_gettime(clockid_t clock, struct timespec *time).
func clockCode(ahead time.Duration) []byte {
	code := []byte{
		0xb8, 228, 0, 0, 0, // mov eax, SYS_clock_gettime
		0x0f, 0x05, // syscall
		0x85, 0xff, // test edi, edi: CLOCK_REALTIME is 0
		0x75, 0x07, // jne ret
		0x48, 0x81, 0x06, // add qword [rsi], seconds
	}
	code = binary.LittleEndian.AppendUint32(code, uint32(int32(ahead/time.Second)))
	return append(code, 0xc3) // ret
}
