package reply

// A delta mostly finds its watcher waiting. To wake it costs more than all that is then done
// with the delta: another thread has to be found and run. So who writes the reply, or keeps
// the copy of one that is written elsewhere, tells the delta itself, as if it were the watcher
// for a moment, if that can be done without waiting.

// listener is who hears that there is more of a reply.
type listener interface {
	// signal wakes it. It reads everything when it looks.
	signal()
	// told tells it a delta at once, and reports whether it did.
	told() bool
}

// wakeup is a listener that is only woken. It must hold one signal.
type wakeup chan struct{}

func (w wakeup) signal() { signal(w) }

func (wakeup) told() bool { return false }

// wake lets listeners know that they have to look.
func wake(listeners []listener) {
	for _, w := range listeners {
		w.signal()
	}
}

// maxDirect bounds how many are told at once: the model's stream is read behind them.
const maxDirect = 4

// tell lets listeners know that there is more, where it arises.
func tell(listeners []listener) {
	for i := len(listeners) - 1; i >= 0; i-- {
		if w := listeners[i]; i >= maxDirect || !w.told() {
			w.signal()
		}
	}
}

// Direct has deltas told while the watcher waits: in the goroutine that writes the reply or
// keeps its copy here, which tell must not hold up. Tell returns false for what it leaves to
// Poll. It is called between Park and Unpark only. Snapshots and ends are left to Poll.
func (w *Watcher) Direct(tell func(Update) bool) { w.tell = tell }

// Park says that its caller waits on Ready, and touches neither the watcher nor what Direct's
// function uses until Unpark has returned.
func (w *Watcher) Park() { w.park(true) }

// Unpark ends Park.
func (w *Watcher) Unpark() { w.park(false) }

func (w *Watcher) park(parked bool) {
	w.waits.Lock()
	w.parked = parked
	w.waits.Unlock()
}

func (w *Watcher) signal() { w.wake.signal() }

// told implements listener.
func (w *Watcher) told() bool {
	if !w.waits.TryLock() {
		return false
	}
	defer w.waits.Unlock()
	if !w.parked || w.tell == nil {
		return false
	}
	for told := false; ; told = true {
		before := w.cursor
		u, more, ok := w.heard()
		if !ok || !more {
			return ok && told
		}
		if !w.tell(u) {
			w.cursor = before
			return false
		}
		w.seen = u
	}
}

// heard takes what is new in the live buffer. It is not ok when that is no delta.
func (w *Watcher) heard() (u Update, more, ok bool) {
	l := w.live
	if l == nil {
		return Update{}, false, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost || l.final != nil || w.version != l.version {
		return Update{}, false, false
	}
	return w.delta(l)
}
