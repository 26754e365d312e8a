package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// letGoOfBinary takes the pages of the binary out of the process. The start has touched most of
// them, and what comes after it a fifth: those come back one after another, from what the system
// keeps of files, which counts for nobody. Only what nobody can have changed is let go.
func letGoOfBinary() {
	path, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return // No harm is done: more is resident.
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, m := range unchanged(smaps, path) {
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.from, m.to-m.from, syscall.MADV_DONTNEED) // As above.
	}
}

// mapped is a range of addresses.
type mapped struct{ from, to uintptr }

// unchanged returns where a file is mapped that cannot be written to, and has not been: neither by
// a linker nor by a debugger.
func unchanged(smaps []byte, path string) (list []mapped) {
	var m mapped
	var candidate bool
	lines := bufio.NewScanner(bytes.NewReader(smaps))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 6 && fields[5] == path:
			_, err := fmt.Sscanf(fields[0], "%x-%x", &m.from, &m.to)
			candidate = err == nil && !strings.Contains(fields[1], "w")
		case len(fields) >= 5 && strings.Contains(fields[0], "-"):
			candidate = false // Another file, or none.
		case len(fields) < 2:
		case fields[0] == "Anonymous:":
			candidate = candidate && fields[1] == "0"
		case fields[0] == "Swap:" && fields[1] == "0" && candidate: // It comes behind.
			list = append(list, m)
		}
	}
	return list
}
