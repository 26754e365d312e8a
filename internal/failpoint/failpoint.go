// Package failpoint names points between durable steps, at which a test can stop,
// kill or hold a process. Outside tests every point is off and costs one atomic
// read.
package failpoint

import "sync/atomic"

// hook is what a test has set; nil is off.
type hook func(name string)

var active atomic.Pointer[hook]

// Hit marks a point. It returns at once unless a test has set a hook.
func Hit(name string) {
	if h := active.Load(); h != nil {
		(*h)(name)
	}
}

// Set makes every Hit call fn with the name of its point, from the goroutine that
// reaches it, until the returned function is called. For tests only; one hook at a
// time in a process.
func Set(fn func(name string)) (reset func()) {
	h := hook(fn)
	active.Store(&h)
	return func() { active.Store(nil) }
}
