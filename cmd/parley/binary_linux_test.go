package main

import (
	"os"
	"slices"
	"testing"
)

// Only what is the binary's, and is as it is in the file, is let go.
func TestWhatOfTheBinaryIsUnchanged(t *testing.T) {
	t.Parallel()
	const smaps = `00400000-01698000 r-xp 00000000 08:01 7 /bin/parley
Size:              19040 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd ex mr mw me
01698000-02bb8000 r--p 01298000 08:01 7 /bin/parley
Anonymous:             4 kB
Swap:                  0 kB
02bb8000-02c8d000 rw-p 027b8000 08:01 7 /bin/parley
Anonymous:             0 kB
Swap:                  0 kB
02c8d000-04cdd000 rw-p 00000000 00:00 0 
Anonymous:             0 kB
Swap:                  0 kB
7f148c540000-7f148c640000 r--p 00000000 08:01 9 /lib/libc.so
Anonymous:             0 kB
Swap:                  0 kB
7f1f8c540000-7f1f8c640000 r--p 00000000 08:01 7 /bin/parley
Anonymous:             0 kB
Swap:                  4 kB
7f248c540000-7f248c640000 r--p 00000000 08:01 7 /bin/parley
Anonymous:             0 kB
Swap:                  0 kB
`
	want := []mapped{{0x400000, 0x1698000}, {0x7f248c540000, 0x7f248c640000}}
	if got := unchanged([]byte(smaps), "/bin/parley"); !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	path, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	if len(unchanged(own, path)) == 0 {
		t.Errorf("nothing of this binary is found in\n%s", own)
	}
	letGoOfBinary() // And what runs goes on.
}
