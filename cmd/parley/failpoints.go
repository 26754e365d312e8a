//go:build failpoints

package main

import (
	"strings"

	"parley/internal/failpoint"
)

// armFailpoints lets a test kill or hold this process between two durable steps.
// The shipped binary is built without it.
func armFailpoints(environ []string) {
	for _, entry := range environ {
		if dir, ok := strings.CutPrefix(entry, testPrefix+"FAILPOINTS="); ok {
			failpoint.FromFiles(dir)
		}
	}
}
