// Package stack makes the stack of a goroutine as large as it will be.
//
// It owns how large that is. Its one invariant: it changes nothing but the stack.
package stack

// room is what a statement of SQLite takes, below resolvers or by itself.
const room = 24 << 10

// Grow makes room on the stack of this goroutine for what follows, at once. By itself a stack
// doubles, and is copied each time with every frame that is on it: what a send calls is deep
// enough for that to happen four times. Call it where the stack is shallow.
//
//go:noinline
func Grow() byte {
	var frame [room]byte
	return frame[touch(&frame)]
}

//go:noinline
func touch(frame *[room]byte) int { return int(frame[0]) }
