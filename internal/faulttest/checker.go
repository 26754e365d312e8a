package faulttest

import (
	"fmt"
	"strings"
)

// violation is a broken rule.
type violation struct {
	rule string
	text string
}

func (v violation) String() string { return v.rule + ": " + v.text }

// rule is one invariant: a function over a history that says what breaks it.
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
}

// check returns every violation in a history.
func check(records []record) []violation {
	b := newBook(records)
	var list []violation
	for _, r := range rules {
		for _, text := range r.check(b) {
			list = append(list, violation{r.name, text})
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
