package script

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Command is one of the words that the model obeys.
type Command struct {
	// Name is the word without its slash.
	Name string
	// Example is the command as it can be sent.
	Example string
	// Does says what comes of it.
	Does string

	// needs says what the argument has to be; empty when there is none.
	needs string
	// apply obeys the command, and reports whether its argument is one.
	apply func(p *plan, arg string) bool
}

// Commands returns all commands, in the order in which they are explained.
func Commands() []Command { return slices.Clone(commands) }

// commands is a table, and read only.
var commands = slices.Concat(shapes(), bodyCommands(), endings(), []Command{
	{Name: "help", Example: "/help", Does: "this list",
		apply: func(p *plan, _ string) bool { p.help = true; return true }},
})

func shapes() []Command {
	return []Command{
		{Name: "tokens", Example: "/tokens 200", Does: "so many tokens: the text is filled up or cut",
			needs: numberNeed(1, maxTokens), apply: func(p *plan, arg string) bool {
				return number(arg, 1, maxTokens, &p.tokens)
			}},
		{Name: "slow", Example: "/slow 100", Does: "the time between two tokens; 20 ms unless said",
			needs: timeNeed(maxPace), apply: func(p *plan, arg string) bool {
				return span(arg, maxPace, &p.pace)
			}},
		{Name: "wait", Example: "/wait 2s", Does: "the time before the first token, or before an error",
			needs: timeNeed(maxWait), apply: func(p *plan, arg string) bool {
				return span(arg, maxWait, &p.wait)
			}},
		{Name: "think", Example: "/think 3s",
			Does:  "reasons first, for so long; a number without a unit is that of the tokens",
			needs: "a time up to " + maxThought.String() + ", or " + numberNeed(1, maxTokens),
			apply: func(p *plan, arg string) bool {
				if number(arg, 1, maxTokens, &p.thought) {
					p.thinking = 0
					return true
				}
				if _, err := strconv.Atoi(arg); err == nil || !span(arg, maxThought, &p.thinking) {
					return false
				}
				p.thought = max(1, int(p.thinking/thoughtPace))
				return true
			}},
		{Name: "usage", Example: "/usage none", Does: "counts no tokens, as some model servers do",
			needs: "the word none", apply: func(p *plan, arg string) bool {
				p.uncounted = true
				return strings.EqualFold(arg, "none")
			}},
	}
}

func bodyCommands() []Command {
	body := func(name, does string, also func(p *plan)) Command {
		return Command{Name: name, Example: "/" + name, Does: does, apply: func(p *plan, _ string) bool {
			if !slices.Contains(p.bodies, name) {
				p.bodies = append(p.bodies, name)
			}
			if also != nil {
				also(p)
			}
			return true
		}}
	}
	return []Command{
		body("markdown", "headings, lists, a table, a quotation, links, and HTML that must not run", nil),
		body("code", "blocks of code in several languages, one with a long line; with /tokens 30 one without an end", nil),
		body("math", "formulas in LaTeX, within the text and apart", nil),
		body("rtl", "Arabic and Hebrew, and both directions in one line", nil),
		body("emoji", "characters of several code points, cut between two events", nil),
		body("citations", "sources, for Message.citations", func(p *plan) { p.cited = true }),
		body("image", "an image, which is left out, for Message.omittedOutput", func(p *plan) { p.pictured = true }),
		{Name: "long", Example: "/long 200", Does: "so many kilobytes, one a token; from 1025 on that is too long",
			needs: numberNeed(1, maxKilobytes), apply: func(p *plan, arg string) bool {
				return number(arg, 1, maxKilobytes, &p.long)
			}},
	}
}

func endings() []Command {
	reason := func(name, word, does string) Command {
		return Command{Name: name, Example: "/" + name, Does: does,
			apply: func(p *plan, _ string) bool { p.reason = word; return true }}
	}
	refused := func(name, refusal, does string) Command {
		return Command{Name: name, Example: "/" + name, Does: does,
			apply: func(p *plan, _ string) bool { p.refusal = refusal; return true }}
	}
	after := func(name string, n int, end ending, does string) Command {
		return Command{Name: name, Example: "/" + name + " " + strconv.Itoa(n), Does: does,
			needs: numberNeed(0, maxTokens), apply: func(p *plan, arg string) bool {
				p.ending = end
				return number(arg, 0, maxTokens, &p.after)
			}}
	}
	return []Command{
		reason("length", "length", "says that the reply became too long for it, after all tokens"),
		reason("filter", "content_filter", "says that a filter has cut the reply, after all tokens"),
		refused("refuse", "filter", "refuses what you ask, before a word"),
		refused("too-long", "too-long", "says that the conversation is too long for it, before a word"),
		after("fail-at", 10, failed, "reports an error in mid-stream, after so many tokens"),
		after("cut", 10, cut, "the connection ends after so many tokens, without a word"),
		after("hang", 10, hung, "says nothing more after so many tokens, until Parley has had enough"),
		{Name: "error", Example: "/error rate", Does: "fails in this way before a word: " + strings.Join(ErrorNames(),
			", ") + "; with /fail-at in mid-stream",
			needs: "one of " + strings.Join(ErrorNames(), ", "),
			apply: func(p *plan, arg string) bool {
				p.refusal = strings.ToLower(arg)
				return slices.Contains(ErrorNames(), p.refusal)
			}},
	}
}

func numberNeed(least, most int) string {
	return "a number from " + strconv.Itoa(least) + " to " + strconv.Itoa(most)
}

func timeNeed(most time.Duration) string {
	return "a time from 0 to " + most.String() + ", in milliseconds or with a unit"
}

// number reads a whole number within bounds.
func number(arg string, least, most int, into *int) bool {
	n, err := strconv.Atoi(arg)
	if err != nil || n < least || n > most {
		return false
	}
	*into = n
	return true
}

// span reads a time up to a bound: milliseconds, or a number with its unit.
func span(arg string, most time.Duration, into *time.Duration) bool {
	if _, err := strconv.Atoi(arg); err == nil {
		arg += "ms"
	}
	d, err := time.ParseDuration(arg)
	if err != nil || d < 0 || d > most {
		return false
	}
	*into = d
	return true
}
