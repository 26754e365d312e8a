// Package judge decides whether a run kept the promises of Parley: the invariants I1 to
// I22, a function for each, whose doc comment is the promise in words.
//
// It owns the rules, and the figures that are reported beside them. It reads a history and
// nothing else: it knows no cluster, no clock and no seed. Times are judged only against
// the bounds that the history begins with. Its one invariant: the verdict is a pure
// function of the history, and for each rule a planted history shows that it can fail.
//
// What lives where: judge.go has the list of rules, book.go the history in the order that
// the rules need, send.go, reply.go, cause.go, stream.go and feed.go the rules, measure.go the figures.
package judge

import (
	"fmt"
	"strings"

	"parley/test/faults/history"
)

// Violation is a broken rule.
type Violation struct {
	Rule string
	Text string
}

// String names the rule and says what broke it.
func (v Violation) String() string { return v.Rule + ": " + v.Text }

// Rule is one invariant: a function over a history that says what breaks it.
type rule struct {
	name  string
	check func(b *book) []string
}

// rules are the invariants. Their doc comments are what Parley promises.
var rules = []rule{
	{"I1", keptSends},
	{"I2", wholeSends},
	{"I3", oneReplyPerKey},
	{"I4", oneGenerator},
	{"I5", noGapNoRepeat},
	{"I6", prefixOfStored},
	{"I7", clientsAgree},
	{"I8", oneEnd},
	{"I9", announcedAttempts},
	{"I10", stableEnds},
	{"I11", everythingEnds},
	{"I12", completedIsProven},
	{"I13", nothingOfOthers},
	{"I14", stopStops},
	{"I15", boundedCalls},
	{"I16", conversationOrder},
	{"I17", boundedRunning},
	{"I18", refusalsAreSilent},
	{"I19", feedsMissNothing},
	{"I20", noCallWithoutCause},
	{"I21", oneTree},
	{"I22", shownWhileRunning},
}

// Check returns every violation in a history.
func Check(records []history.Record) []Violation {
	b := newBook(records)
	var list []Violation
	for _, r := range rules {
		for _, text := range r.check(b) {
			list = append(list, Violation{r.name, text})
		}
	}
	return list
}

// report collects what breaks a rule.
type report []string

func (r *report) add(format string, args ...any) { *r = append(*r, fmt.Sprintf(format, args...)) }

// quote shortens a text for a report.
func quote(text string) string {
	if len(text) > 60 {
		text = strings.ToValidUTF8(text[:30], "") + " … " + strings.ToValidUTF8(text[len(text)-30:], "")
	}
	return fmt.Sprintf("%q", text)
}
