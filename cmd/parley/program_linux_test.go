package main

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Only what nobody may write and nobody has written of the very file is forgotten: what a
// debugger has put there would be lost with it.
func TestUnchanged(t *testing.T) {
	t.Parallel()
	const regions = `00400000-01683000 r-xp 00000000 08:01 7 /opt/a b/parley
Rss:                 100 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
01683000-02b4d000 r--p 01283000 08:01 7 /opt/a b/parley
Anonymous:             4 kB
02b4d000-02c22000 rw-p 0274d000 08:01 7 /opt/a b/parley
Anonymous:             0 kB
02d00000-02d01000 r--p 00000000 08:01 8 /opt/a b/parley.old
Anonymous:             0 kB
02e00000-02e01000 r--s 00000000 08:01 7 /opt/a b/parley
Anonymous:             0 kB
02f00000-02f01000 r--p 00000000 00:00 0
Anonymous:             0 kB
x-y r--p 00000000 08:01 7 /opt/a b/parley
Anonymous:             0 kB
03000000-03001000 r--p 00001000 08:01 7 /opt/a b/parley
`
	want := []region{{0x400000, 0x1683000}}
	if got := unchanged([]byte(regions), "/opt/a b/parley"); !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

// What is forgotten of the running program is less of it in memory, and it goes on.
func TestProgramIsForgotten(t *testing.T) { // Not parallel: others use the program.
	before := ofProgram(t)
	if before == 0 {
		t.Fatal("the program has no region that is forgotten")
	}
	forgetProgram()
	if after := ofProgram(t); after >= before*3/4 {
		t.Errorf("%d kB of the program are in memory, before it were %d, want much less", after, before)
	}
}

// ofProgram is how many kB of what can be forgotten are in memory.
func ofProgram(t *testing.T) (kilobytes int) {
	t.Helper()
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	regions, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	shut := false
	for line := range bytes.Lines(regions) {
		words := strings.Fields(string(line))
		switch {
		case len(words) > 1 && strings.Contains(words[0], "-"):
			shut = words[1][1] == '-' && strings.HasSuffix(strings.TrimSpace(string(line)), " "+program)
		case shut && words[0] == "Rss:":
			n, err := strconv.Atoi(words[1])
			if err != nil {
				t.Fatal(err)
			}
			kilobytes += n
		}
	}
	return kilobytes
}
