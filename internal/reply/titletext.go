package reply

import (
	"crypto/rand"
	"html"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	people "parley/internal/text"
)

// maxTitleRunes is how long a name by a model may be.
const maxTitleRunes = 80

var (
	thinking = regexp.MustCompile(`(?is)<think(?:ing)?>.*?(?:</think(?:ing)?>|$)`)
	// thought ends thinking that began before the answer, as some chat templates have it.
	thought = regexp.MustCompile(`(?i)</think(?:ing)?>`)
	hidden  = regexp.MustCompile(`(?is)<(script|style|head)\b.*?</(?:script|style|head)\s*>|<!--.*?-->`)
	block   = regexp.MustCompile(`(?is)</?(?:h[1-6]|p|div|li|ul|ol|br|tr|td|title|body|html|!doctype)\b[^<>]*>`)
	tag     = regexp.MustCompile(`(?s)</?[a-zA-Z!][^<>]*>`)
	// link is one with brackets in its text and in its address, one deep.
	link     = regexp.MustCompile(`!?\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\((?:[^()]|\([^()]*\))*\)`)
	emphasis = regexp.MustCompile("\\*\\*|__|~~|`+")
	// leading is what Markdown has at the beginning of headings, quotes and lists.
	leading = regexp.MustCompile(`^(?:[#>\s]+|[*+-]\s+|\d{1,2}[.)]\s+)+`)
	rule    = regexp.MustCompile(`^[-=*_~\s]*$`)
)

// quotes are what stands around a name that is quoted.
const quotes = "\"'`*_“”„‟‘’‚‛«»‹›「」『』〝〞"

// withoutThinking removes what a model thinks within its answer.
func withoutThinking(s string) string {
	s = thinking.ReplaceAllString(s, "")
	if at := thought.FindAllStringIndex(s, -1); at != nil {
		s = s[at[len(at)-1][1]:]
	}
	return strings.TrimSpace(s)
}

// cleanTitle makes a name of what a model has answered, "" when there is none in it: its first
// line, without thinking, quotes, Markdown, tags and what disturbs the text around a name.
func cleanTitle(s string) string {
	s = withoutThinking(strings.ToValidUTF8(s, "\uFFFD"))
	for line := range strings.FieldsFuncSeq(withoutTags(s), endsLine) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") || rule.MatchString(line) {
			continue
		}
		line = leading.ReplaceAllString(line, "")
		line = emphasis.ReplaceAllString(link.ReplaceAllString(line, "$1"), "")
		if line = people.Shorten(unquoted(people.Line(line)), maxTitleRunes); readable(line) && !tag.MatchString(line) {
			return line
		}
	}
	return ""
}

// maxUnmasked is how often tags are looked for that stood within others, or as entities.
const maxUnmasked = 4

// withoutTags makes text of HTML: "" where tags are masked more deeply than anybody does who
// means no harm. A tag in a sentence ends no line.
func withoutTags(s string) string {
	if !tag.MatchString(s) {
		return s
	}
	end := " "
	if strings.HasPrefix(s, "<") {
		end = "\n"
	}
	for range maxUnmasked {
		s = block.ReplaceAllString(hidden.ReplaceAllString(s, ""), end)
		s = html.UnescapeString(tag.ReplaceAllString(s, ""))
		if !tag.MatchString(s) {
			return s
		}
	}
	return ""
}

func endsLine(r rune) bool {
	return r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029' || r == '\u0085'
}

// unquoted removes quotes around a name. Those that stand on one side only belong to it,
// unless they are emphasis.
func unquoted(s string) string {
	for {
		first, n := utf8.DecodeRuneInString(s)
		last, m := utf8.DecodeLastRuneInString(s)
		if len(s) < n+m || !strings.ContainsRune(quotes, first) || !strings.ContainsRune(quotes, last) {
			return s
		}
		s = strings.TrimSpace(s[n : len(s)-m])
	}
}

// readable reports whether a name has a letter, a digit or a symbol, and is more than what a
// model server puts in place of what it cannot say.
func readable(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return r != '\uFFFD' && (unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsSymbol(r))
	})
}

// beginning returns at most n bytes from the beginning of a text, in whole runes.
func beginning(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// newMark makes a line that nobody can foresee, to stand around what is data.
func newMark() string { return "=====" + rand.Text()[:12] + "=====" }
