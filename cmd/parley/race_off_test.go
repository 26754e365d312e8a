//go:build !race

package main

// deeper is how much larger the race detector makes stacks, at most: it is off.
const deeper = 1
