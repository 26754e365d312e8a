//go:build unix

package transport

import "syscall"

const canWriteNow = true

// writeNow writes to a connection, none of which waits in a call of the system.
func writeNow(fd uintptr, p []byte) int {
	for {
		n, err := syscall.Write(int(fd), p)
		if err == syscall.EINTR {
			continue
		}
		return max(n, 0)
	}
}
