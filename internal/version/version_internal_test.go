package version

import (
	"runtime/debug"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	stamped := func(version, revision, modified string) *debug.BuildInfo {
		return &debug.BuildInfo{
			GoVersion: "go1.26.8",
			Main:      debug.Module{Version: version},
			Settings: []debug.BuildSetting{
				{Key: "vcs.revision", Value: revision}, {Key: "vcs.modified", Value: modified},
			},
		}
	}
	for _, tt := range []struct {
		name           string
		number, commit string
		info           *debug.BuildInfo
		want           string
	}{
		{"the build says", "v1.2.3", "abc", stamped("v9.9.9", "def", "true"), "v1.2.3 (commit abc)"},
		{"the go command says", "", "", stamped("v1.2.4", "def", "false"), "v1.2.4 (commit def)"},
		{"files that were changed", "", "", stamped("v1.2.4", "def", "true"), "v1.2.4 (commit def-dirty)"},
		{"go test and go run", "", "", &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}},
			"development (commit unknown)"},
		{"nobody says", "", "", &debug.BuildInfo{}, "development (commit unknown)"},
		{"always a word", " v1 beta\n", "a b", &debug.BuildInfo{}, "v1-beta (commit a-b)"},
	} {
		if got := read(tt.number, tt.commit, tt.info).String(); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
