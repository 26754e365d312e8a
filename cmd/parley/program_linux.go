package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// region is a part of the address space, from begin to before end.
type region struct{ begin, end uintptr }

// forgetProgram takes the pages of the program's own file out of the process: most of them only
// the start has used. What is used again comes back from the system's cache of files, without a
// read. What goes wrong leaves everything as it is.
func forgetProgram() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	regions, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, r := range unchanged(regions, program) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, r.begin, r.end-r.begin, unix.MADV_DONTNEED)
	}
}

// unchanged returns the regions of a file that nobody may write and nobody has written, by
// what the system says of all regions: a debugger writes into them, and that would be lost.
func unchanged(regions []byte, file string) []region {
	var found []region
	var last *region
	for line := range bytes.Lines(regions) {
		words := strings.Fields(string(line))
		if len(words) < 2 {
			continue
		}
		if from, to, ok := strings.Cut(words[0], "-"); ok {
			last = nil
			begin, beginErr := strconv.ParseUint(from, 16, strconv.IntSize)
			end, endErr := strconv.ParseUint(to, 16, strconv.IntSize)
			shut := words[1] == "r-xp" || words[1] == "r--p"
			named := strings.HasSuffix(strings.TrimSuffix(string(line), "\n"), " "+file)
			if beginErr == nil && endErr == nil && shut && named {
				last = &region{begin: uintptr(begin), end: uintptr(end)}
			}
			continue
		}
		if last != nil && words[0] == "Anonymous:" {
			if words[1] == "0" {
				found = append(found, *last)
			}
			last = nil
		}
	}
	return found
}
