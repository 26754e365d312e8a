package cluster_test

import (
	"os/exec"
	"strings"
	"testing"

	"parley/test/faults/cluster"
)

// TestBuilderOfMissingHistory makes sure that whoever lacks the history is told how to
// get it.
func TestBuilderOfMissingHistory(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	if out, err := exec.Command("git", "init", "--quiet", empty).CombinedOutput(); err != nil {
		t.Fatalf("git init: %v %s", err, out)
	}
	for name, root := range map[string]string{"no checkout": t.TempDir(), "no such commit": empty} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := cluster.NewBuilderOf(root, "2d862350a734033dd3155c9941f1eb8ae1d21ee3")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(b.Remove)
			_, err = b.Path()
			if err == nil || !strings.Contains(err.Error(), "2d86235") ||
				!strings.Contains(err.Error(), "git fetch --unshallow") {
				t.Errorf("got %v, want an error that names the commit and the command that brings it", err)
			}
		})
	}
}
