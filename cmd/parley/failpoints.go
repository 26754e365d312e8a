//go:build failpoints && unix

package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"parley/internal/bus"
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

// lossyBus lets a test make the bus worse than NATS is, by a list like
// drop=30,duplicate=10,reorder=10,seed=1, the first three in percent. It panics at
// anything else, so that no test runs on a better bus than it believes.
func lossyBus(environ []string) bus.Lossy {
	var lossy bus.Lossy
	for _, entry := range environ {
		list, ok := strings.CutPrefix(entry, testPrefix+"LOSSY_BUS=")
		if !ok {
			continue
		}
		for setting := range strings.SplitSeq(list, ",") {
			name, value, _ := strings.Cut(setting, "=")
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 {
				panic(fmt.Sprintf("%sLOSSY_BUS: %q", testPrefix, setting))
			}
			switch name {
			case "drop":
				lossy.Drop = n
			case "duplicate":
				lossy.Duplicate = n
			case "reorder":
				lossy.Reorder = n
			case "seed":
				lossy.Seed = uint64(n)
			default:
				panic(fmt.Sprintf("%sLOSSY_BUS: %q", testPrefix, setting))
			}
		}
	}
	return lossy
}

// clockAhead lets a test set the clock of one replica wrong, by a duration like -20s. It
// panics at anything else.
func clockAhead(environ []string) (ahead time.Duration) {
	for _, entry := range environ {
		value, ok := strings.CutPrefix(entry, testPrefix+"CLOCK_AHEAD=")
		if !ok {
			continue
		}
		var err error
		if ahead, err = time.ParseDuration(value); err != nil {
			panic(fmt.Sprintf("%sCLOCK_AHEAD: %q", testPrefix, value))
		}
	}
	return ahead
}
