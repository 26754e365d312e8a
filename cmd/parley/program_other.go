//go:build !linux

package main

// forgetProgram does nothing where no way is known.
func forgetProgram() {}
