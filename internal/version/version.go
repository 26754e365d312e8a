// Package version knows which version of Parley this binary is, and of which commit: what
// parley version prints, the first line of the log, /healthz, and the mark that a migration
// leaves in the database.
//
// It does not decide what a version is called: whoever builds does, with
//
//	-ldflags "-X parley/internal/version.number=v1.2.3 -X parley/internal/version.commit=0a1b2c"
//
// as make build, make release and the Dockerfile do. Where nobody has said it, the go command's
// own stamps are used.
//
// Its one invariant: both have a value, which is one word, the same for as long as the process
// runs.
package version

import (
	"runtime/debug"
	"strings"
	"sync"
)

// What the linker sets.
var number, commit string

const (
	// development is the number of a binary that nobody has given one.
	development = "development"
	// unknown is a commit that nobody has told.
	unknown = "unknown"
)

// Info is which version this is.
type Info struct {
	// Number is v1.2.3, or what the build has called it.
	Number string
	// Commit is the commit's hash. It ends with -dirty when the files were not those of the commit.
	Commit string
	// Go is the version of Go that has built it.
	Go string
}

// Get returns which version this is.
var Get = sync.OnceValue(func() Info {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return read(number, commit, info)
})

// String returns v1.2.3 (commit 0a1b2c).
func (i Info) String() string { return i.Number + " (commit " + i.Commit + ")" }

// read prefers what the build has said to what the go command has stamped.
func read(number, commit string, info *debug.BuildInfo) Info {
	stamps := make(map[string]string)
	for _, s := range info.Settings {
		stamps[s.Key] = s.Value
	}
	if number == "" && info.Main.Version != "(devel)" {
		number = info.Main.Version
	}
	if revision := stamps["vcs.revision"]; commit == "" && revision != "" {
		commit = revision
		if stamps["vcs.modified"] == "true" {
			commit += "-dirty"
		}
	}
	return Info{Number: word(number, development), Commit: word(commit, unknown), Go: word(info.GoVersion, unknown)}
}

// word is text as one word, or otherwise when there is none.
func word(text, otherwise string) string {
	text = strings.Join(strings.Fields(text), "-")
	if text == "" {
		return otherwise
	}
	return text
}
