//go:build !failpoints

package main

// armFailpoints does nothing: failpoints are for tests.
func armFailpoints([]string) {}
