// Package eliza is the conversation program that Joseph Weizenbaum published in
// 1966, written anew from his description, and a model server around it, so that
// Parley answers before any model server is configured.
//
// It owns the script (script.go), the algorithm (engine.go) and the protocol face
// (handler.go). It knows nothing of Parley. It is not a language model and never
// pretends to be one: see Description.
//
// Its one invariant: a reply depends on nothing but the messages of the request.
// What the original kept in memory between two turns is found again by going
// through the user's messages from the start.
package eliza

import "strings"

// Model is the id of the only model.
const Model = "eliza"

// Description says what this is, for lists of models and start-up messages.
const Description = "ELIZA (Weizenbaum, 1966): a built-in pattern-matching program, not a language model"

// Greeting is the reply to a conversation in which the user has said nothing.
const Greeting = "Hello. What would you like to talk about?"

// introduction follows the first reply of a conversation, so that whoever tries streaming for the first time has
// time to see it.
const introduction = "I am ELIZA, by the way: a program of 1966, and no language model. " +
	"I turn what you say into questions, by a few rules and without understanding."

// longWords is how many words of a first reply are long enough to be seen growing without the introduction.
const longWords = 15

// maxTurns bounds how far back a reply looks, and so its cost.
const maxTurns = 100

// Respond returns the reply to a conversation, given what the user has said in
// it, oldest first. The first one is never short. It is a pure function.
func Respond(said []string) string {
	if len(said) == 0 {
		return Greeting
	}
	if len(said) > maxTurns {
		said = said[len(said)-maxTurns:]
	}
	e := newEngine()
	var answer string
	for _, s := range said {
		answer = e.respond(s)
	}
	if len(said) == 1 && len(strings.Fields(answer)) < longWords {
		answer += " " + introduction
	}
	return answer
}
