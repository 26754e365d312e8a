// Package script is a model server whose only model does what the message says, so that a
// frontend can be built against every state of a reply, with no key and no luck:
//
//	Tell me about tides. /tokens 200 /slow 50 /fail-at 90
//
// It owns the commands (commands.go) and how they are read (parse.go), what a message asks
// for (script.go), the words (words.go), the answers for titles, summaries and the rest of what
// was cut off (aside.go), and the protocol face (handler.go). It knows nothing of Parley, and
// does only what a model server can do: what comes of it, Parley's own client decides.
//
// Its one invariant: an answer depends on nothing but the request. The same message gives
// the same pieces, and one that cannot be obeyed is answered with why.
package script

import (
	"fmt"
	"strings"
	"time"
)

// Model is the id of the only model.
const Model = "script"

// Description says what this is, for lists of models and start-up messages.
const Description = `a built-in model for building frontends: it does what the message says, as in ` +
	`"/tokens 200 /slow 50 /fail-at 90"; send it /help`

// The limits of what may be asked for.
const (
	maxTokens    = 10_000
	maxKilobytes = 2_000 // Beyond what Parley takes, so that this can be seen, too.
	maxPace      = 30 * time.Second
	maxWait      = 50 * time.Second
	maxThought   = 2 * time.Minute
)

const (
	defaultPace   = 20 * time.Millisecond
	helpPace      = 2 * time.Millisecond // It is long, and to be read.
	defaultLength = 40                   // tokens, of a message that says nothing to repeat
	thoughtPace   = 100 * time.Millisecond
)

// ending is how an answer ends.
type ending int

const (
	whole ending = iota
	failed
	cut
	hung
)

// plan is what a message asks for.
type plan struct {
	asked    string   // the message without its commands
	text     string   // what is repeated
	bodies   []string // what is added to it, by the names of commands
	tokens   int      // exactly so many; 0: as many as there are
	long     int      // kilobytes that are added
	pace     time.Duration
	wait     time.Duration
	thought  int // tokens
	thinking time.Duration
	ending   ending
	after    int    // tokens after which the ending comes
	refusal  string // of refusals, before a word or as the error of the ending
	reason   string // the finish reason
	uncounted,
	cited,
	pictured,
	help bool
}

// pieces makes the pieces of the text.
func (p plan) pieces() []string {
	pieces := tokens(p.text)
	add := func(between string, more []string) {
		if n := len(pieces); n > 0 && len(more) > 0 {
			pieces[n-1] = strings.TrimRight(pieces[n-1], " \n") + between
		}
		pieces = append(pieces, more...)
	}
	for _, name := range p.bodies {
		if name == "emoji" {
			add("\n\n", strings.Split(bodies[name], "")) // Each character, so that what is seen as one is in several.
			continue
		}
		add("\n\n", tokens(bodies[name]))
	}
	if p.long > 0 {
		add("\n\n", kilobytes(p.long))
	}
	want := p.tokens
	if want == 0 {
		if len(pieces) == 0 {
			want = defaultLength
		}
		// What is to happen after so many tokens needs so many.
		want = max(want, len(pieces), p.after)
	}
	if n := want - len(pieces); n > 0 {
		add(" ", filler(n))
	}
	return pieces[:want]
}

// helped is the plan for a message that asks for help, or that cannot be obeyed.
func helped(problems []string, asked string) plan {
	var b strings.Builder
	for _, problem := range problems {
		b.WriteString(problem + "\n\n")
	}
	b.WriteString("I am `" + Model + "`. I do what the words of a message say that begin with `/`, and repeat the " +
		"others. Only the last paragraph counts. A command stands anywhere in it, and several go together.\n\n")
	for _, c := range commands {
		fmt.Fprintf(&b, "- `%s`: %s\n", c.Example, c.Does)
	}
	b.WriteString("\nA time is a number of milliseconds, or has a unit, as `3s`. `N` is a number of tokens: " +
		"each word is one.\n\n" +
		"What a model server cannot do: a reply is QUEUED when you send with `onBusy: QUEUE` while another one is " +
		"being written, as after `/tokens 200 /slow 100`. It is STOPPED by `stopReply`. It is taken over, with " +
		"attempt 2, when you press Ctrl-C twice meanwhile and start the server again; and INTERRUPTED when " +
		"`PARLEY_ON_CRASH=interrupt` is set and the server is ended with `kill -9`.\n")
	return plan{asked: asked, text: b.String(), pace: helpPace, reason: "stop"}
}
