package script

import "strings"

const (
	titleWords   = 6
	summaryWords = 60
)

// aside returns the answer to a question about a conversation, which Parley asks beside the
// replies: for a title, or for a summary. Such a question has the conversation between two
// equal lines, of which one is the last. The commands in it are not obeyed.
func aside(message string) (answer string, ok bool) {
	lines := strings.Split(strings.TrimRight(message, "\n"), "\n")
	mark := lines[len(lines)-1]
	begin := 0
	for begin < len(lines)-1 && lines[begin] != mark {
		begin++
	}
	if strings.TrimSpace(mark) == "" || begin == 0 || begin == len(lines)-1 {
		return "", false
	}
	instruction := strings.Join(lines[:begin], "\n")
	told := strings.Join(lines[begin+1:len(lines)-1], "\n")
	switch {
	case strings.Contains(instruction, " title "):
		return title(told), true
	case strings.Contains(instruction, "Sum it up"):
		words := strings.Fields(told)
		return "Summed up: " + strings.Join(words[:min(len(words), summaryWords)], " "), true
	}
	return "", false
}

// goesOn reports whether a message asks for the rest of the answer before it, as Parley does
// in words for a reply that is continued.
func goesOn(message string) bool {
	return strings.HasPrefix(message, "Your last message was cut off. Go on exactly where it ends")
}

// rest is the plan for what an answer lacks that ended early. Whatever ended it does not do so
// again; an answer that lacks nothing gets some words more.
func rest(asked, answered string) plan {
	p := read(asked)
	text, ok := strings.CutPrefix(strings.Join(p.pieces(), ""), answered)
	if !ok || text == "" {
		text = " " + strings.Join(filler(defaultLength), "")
	}
	return plan{text: text, pace: p.pace, reason: "stop"}
}

// title is the beginning of what was asked, without the commands; or these, when there is
// nothing else.
func title(asked string) string {
	words := strings.Fields(asked)
	if p := read(asked); p.asked != "" {
		words = strings.Fields(p.asked)
	}
	words = words[:min(len(words), titleWords)]
	return strings.TrimRight(strings.Join(words, " "), marks)
}
