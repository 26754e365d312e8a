package feed

// doubt is whether a feed believes to know everything. The bus loses facts without a
// trace, and says now and then that it may have; the database answers. A difference
// counts as a loss only when it lasts, since a fact may still be on its way.
type doubt uint8

const (
	// calm: nothing speaks for a loss.
	calm doubt = iota
	// gap: a message is missing before one that was heard of.
	gap
	// differs: the database knew something else, a moment ago.
	differs
	// unanswered: the database could not be asked.
	unanswered
)

// raise is called when facts may have been lost. It reports whether to ask at once; if
// not, a wake is on its way that asks.
func (d *doubt) raise() (ask bool) {
	if *d == differs || *d == unanswered {
		return false
	}
	*d = calm // Whatever the answer is, it is the first one.
	return true
}

// wake is called when the time has passed. It reports whether to ask.
func (d *doubt) wake() (ask bool) {
	if *d == unanswered {
		*d = calm
		return true
	}
	return *d != calm
}

// answer takes the database's word and reports whether something was lost.
func (d *doubt) answer(agrees bool, o *outcome) (lost bool) {
	before := *d
	*d = calm
	switch {
	case agrees:
		return false
	case before == differs || before == gap:
		return true
	}
	*d = differs
	o.want(want{kind: wantSettle})
	return false
}

// fail is called when the database could not be asked.
func (d *doubt) fail(o *outcome) {
	*d = unanswered
	o.want(want{kind: wantRetry})
}
