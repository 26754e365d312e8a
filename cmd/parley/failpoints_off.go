//go:build !failpoints

package main

import "parley/internal/bus"

// armFailpoints does nothing: failpoints are for tests.
func armFailpoints([]string) {}

// lossyBus leaves the bus as it is: losing messages is for tests.
func lossyBus([]string) bus.Lossy { return bus.Lossy{} }
