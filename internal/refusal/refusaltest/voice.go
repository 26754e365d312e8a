// Package refusaltest checks how refusals speak, for the tests of whoever refuses.
//
// Its one invariant: what it finds is a fault of the text, whatever the code.
package refusaltest

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/internal/refusal"
)

// Voice returns what is wrong with the words of a refusal as a client gets them.
func Voice(code refusal.Code, message string, fields map[string]string) []string {
	bad := Sentences(message)
	if (code == refusal.CodeBadUserInput) != (len(fields) > 0) {
		bad = append(bad, fmt.Sprintf("%s has %d fields", code, len(fields)))
	}
	for field, problem := range fields {
		switch {
		case field == "":
			bad = append(bad, "a field has no name")
		case !strings.Contains(message, " "+problem+"."):
			bad = append(bad, fmt.Sprintf("%q does not say that %s %s", message, field, problem))
		}
		bad = append(bad, Phrase(problem)...)
	}
	return bad
}

// Sentences returns what is wrong with a message: one or more full sentences.
func Sentences(text string) []string {
	bad := words(text)
	first, _ := utf8.DecodeRuneInString(text)
	switch {
	case !unicode.IsUpper(first):
		bad = append(bad, fmt.Sprintf("%q does not begin with a capital letter", text))
	case !strings.HasSuffix(text, "."):
		bad = append(bad, fmt.Sprintf("%q does not end with a full stop", text))
	case strings.Contains(text, ".."):
		bad = append(bad, fmt.Sprintf("%q ends twice", text))
	}
	return bad
}

// Phrase returns what is wrong with a problem, which completes the name of a field.
func Phrase(text string) []string {
	bad := words(text)
	verb, _, _ := strings.Cut(text, " ")
	if !slices.Contains(verbs, verb) || strings.HasSuffix(text, ".") {
		bad = append(bad, fmt.Sprintf("%q does not complete the name of a field", text))
	}
	return bad
}

// verbs are those that problems begin with.
var verbs = []string{"has", "is", "may", "must", "needs", "takes"}

// words checks what holds for all texts.
func words(text string) []string {
	var bad []string
	if strings.TrimSpace(text) != text || strings.Contains(text, "  ") || strings.ContainsAny(text, "\n\t") {
		bad = append(bad, fmt.Sprintf("%q has spaces in the wrong places", text))
	}
	for _, phrase := range []string{"can not", "invalid input", "%!"} {
		if strings.Contains(strings.ToLower(text), phrase) {
			bad = append(bad, fmt.Sprintf("%q says %q", text, phrase))
		}
	}
	return bad
}
