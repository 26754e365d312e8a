package store

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// confirmSent has the system give a connection up when what was sent gets no
// receipt. Its own patience is a quarter of an hour.
func confirmSent(network, _ string, raw syscall.RawConn) error {
	if network == "unix" {
		return nil
	}
	// Without it the other limits hold.
	return raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(sentUnconfirmed.Milliseconds()))
	})
}
