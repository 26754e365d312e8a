package script

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// emptyLine parts two paragraphs.
var emptyLine = regexp.MustCompile(`\n[ \t\r]*\n`)

// read returns what a message asks for.
//
// Only the last paragraph counts: a question without an answer is sent again before the
// next one, with an empty line between them, and what it asked for is over.
//
// A command is a word that begins with a slash and a letter and has no other slash, so that
// paths are none. Case and a mark at its end do not matter. The word after a command that
// takes one is its argument. What is left of the paragraph is the text. A command that comes
// twice counts as it was said last.
func read(message string) plan {
	message = strings.TrimSpace(message)
	if all := emptyLine.FindAllStringIndex(message, -1); len(all) > 0 {
		message = strings.TrimSpace(message[all[len(all)-1][1]:])
	}
	p := plan{pace: defaultPace, reason: "stop"}
	var text strings.Builder
	var problems []string
	obeyed := false
	for rest := message; rest != ""; {
		var word string
		space := len(rest) - len(strings.TrimLeftFunc(rest, unicode.IsSpace))
		gap := rest[:space]
		word, rest = cutWord(rest[space:])
		name, ok := commandName(word)
		if !ok {
			text.WriteString(gap + word)
			continue
		}
		obeyed = true
		if strings.Contains(gap, "\n") {
			text.WriteString("\n") // The lines of the text stay lines.
		}
		var problem string
		if rest, problem = obey(&p, name, rest); problem != "" {
			problems = append(problems, problem)
		}
	}
	p.asked = strings.TrimSpace(text.String())
	p.text = p.asked
	if len(problems) > 0 || p.help {
		return helped(problems, p.asked)
	}
	if !obeyed && p.text != "" {
		p.text += " (That is all that I do without a command: send /help for what there is.)"
	}
	return p
}

// obey applies a command, whose argument is the first word of rest. It returns what is left
// of rest, and what is wrong.
func obey(p *plan, name, rest string) (left, problem string) {
	i := slices.IndexFunc(commands, func(c Command) bool { return c.Name == name })
	if i < 0 {
		return rest, fmt.Sprintf("There is no command `/%s`.", short(name))
	}
	c := commands[i]
	arg := ""
	if c.needs != "" {
		arg, left = cutWord(strings.TrimLeftFunc(rest, unicode.IsSpace))
		if _, isCommand := commandName(arg); isCommand {
			arg = ""
		} else {
			rest, arg = left, strings.TrimRight(arg, marks)
		}
	}
	if !c.apply(p, arg) {
		if arg == "" {
			return rest, fmt.Sprintf("`/%s` needs %s, as in `%s`.", name, c.needs, c.Example)
		}
		return rest, fmt.Sprintf("`/%s` needs %s, as in `%s`, and not `%s`.", name, c.needs, c.Example, short(arg))
	}
	return rest, ""
}

// marks may stand behind a command and its argument.
const marks = ".,;:!?"

// commandName returns the name of the command that a word is.
func commandName(word string) (string, bool) {
	name, ok := strings.CutPrefix(word, "/")
	if !ok || name == "" || strings.Contains(name, "/") || !unicode.IsLetter([]rune(name[:min(len(name), 4)])[0]) {
		return "", false
	}
	return strings.ToLower(strings.TrimRight(name, marks)), true
}

// cutWord cuts the first word off a text that begins with one.
func cutWord(text string) (word, rest string) {
	if i := strings.IndexFunc(text, unicode.IsSpace); i >= 0 {
		return text[:i], text[i:]
	}
	return text, ""
}

// short is a word as an answer quotes it.
func short(word string) string {
	word = strings.ReplaceAll(word, "`", "'")
	if runes := []rune(word); len(runes) > 40 {
		return string(runes[:40]) + "…"
	}
	return word
}
