package refusal

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Problems collects what is wrong with an input, so that all of it is said at once:
// field → problem. The first problem of a field stands. The zero value is not usable;
// make one.
type Problems map[string]string

// Add notes a problem of a field: a phrase that completes the field's name, without a
// full stop. An empty one is none.
func (p Problems) Add(field, problem string) {
	if _, known := p[field]; !known && problem != "" {
		p[field] = problem
	}
}

// Err returns BAD_USER_INPUT with every problem, or nil when there is none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return badInput(maps.Clone(p))
}

// badInput says all problems in the order of the fields, each as a sentence of its own:
// a form without room beside its inputs can show the message as it is.
func badInput(fields map[string]string) *Error {
	var sentences []string
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		sentences = append(sentences, label(field)+" "+fields[field]+".")
	}
	return &Error{Code: CodeBadUserInput, Message: strings.Join(sentences, " "), Fields: fields}
}

// label is a field's name as people write it: "parameters.maxTokens" is "Parameters max
// tokens".
func label(field string) string {
	var b strings.Builder
	for i, r := range field {
		switch {
		case i == 0:
			r = unicode.ToUpper(r)
		case r == '.':
			r = ' '
		case unicode.IsUpper(r):
			b.WriteByte(' ')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// wholeSeconds rounds a wait up, to at least one second.
func wholeSeconds(wait time.Duration) time.Duration {
	whole := wait.Truncate(time.Second)
	if whole < wait {
		whole += time.Second
	}
	return max(whole, time.Second)
}

// inWords says a wait as people do, rounded up: seconds up to a minute and a half,
// minutes up to an hour and a half, then hours.
func inWords(wait time.Duration) string {
	unit, name := time.Second, "second"
	switch {
	case wait > 90*time.Minute:
		unit, name = time.Hour, "hour"
	case wait > 90*time.Second:
		unit, name = time.Minute, "minute"
	}
	n := int((wait + unit - 1) / unit)
	if n == 1 {
		return "1 " + name
	}
	return strconv.Itoa(n) + " " + name + "s"
}
