//go:build !failpoints || !unix

package main

import (
	"time"

	"parley/internal/bus"
)

// armFailpoints does nothing: failpoints are for tests.
func armFailpoints([]string) {}

// lossyBus leaves the bus as it is: losing messages is for tests.
func lossyBus([]string) bus.Lossy { return bus.Lossy{} }

// clockAhead leaves the clock as it is: setting it wrong is for tests.
func clockAhead([]string) time.Duration { return 0 }
