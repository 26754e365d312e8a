package main

import (
	_ "embed" // For the template.
	"fmt"
	"html"
	"io"
	"regexp"
	"strings"
	"text/template"
	"time"
)

//go:embed reply.svg.tmpl
var source string

// The course of the animation, which begins again when it has ended.
const (
	lead  = 1200 * time.Millisecond // Before the message is sent.
	asked = 900 * time.Millisecond  // How long before that the question is seen.
	hold  = 6 * time.Second         // After the last event.
	step  = 10 * time.Millisecond   // How long something takes to appear.
	glow  = 800 * time.Millisecond  // How long a word is new.
)

// Places on the page, in pixels. A line of text is where its letters stand.
const (
	codeLeading  = 20
	eventLeading = 18
	replyLeading = 32
	replyWidth   = 30 // In letters.
	margin       = 30
)

// page is what the template gets. Moments are parts of a round, in percent.
type page struct {
	Height         int
	Seconds        float64 // Of one round.
	Question, Text string
	Send, Follow   []line
	AnswerY        int
	FollowY        int
	Answer         string // Coloured.
	AnswerTime     string
	Asked          moment
	Answered       moment
	Reply, Events  []line
	Moments        []moment // Of the events.
	RuleY          int      // Of the line between the reply and its events.
}

// line is a line of text: of code and events as it is coloured, of the reply in
// the parts that came one after the other.
type line struct {
	Y, Event int
	Time     string
	Coloured string
	Parts    []part
}

// part is what one event added to a line.
type part struct {
	Event int
	Text  string
}

// moment is when something appears, and until when it is new.
type moment struct{ Before, At, Settled string }

// draw writes the recording as SVG.
func draw(w io.Writer, r recording) error {
	tmpl, err := template.New("reply").Funcs(template.FuncMap{"text": html.EscapeString}).Parse(source)
	if err != nil {
		return err
	}
	return tmpl.Execute(w, layOut(r))
}

func layOut(r recording) page {
	round := lead + r.Events[len(r.Events)-1].At + hold
	percent := func(d time.Duration) string { return fmt.Sprintf("%.2f%%", 100*float64(d)/float64(round)) }
	at := func(d time.Duration) moment {
		return moment{percent(lead + d - step), percent(lead + d), percent(lead + d + glow)}
	}
	p := page{
		Seconds: round.Seconds(), Question: question, Asked: at(-asked), Answered: at(r.Answered),
		Answer: colour(fmt.Sprintf(`{"id":%q}`, r.ID)), AnswerTime: millis(r.Answered),
	}
	y := 0
	p.Send, y = code(send, 76)
	p.AnswerY = y + 6
	p.FollowY = p.AnswerY + 46
	p.Follow, y = code(follow, p.FollowY+32)
	p.Height = y - codeLeading + margin

	p.Reply = wrap(r.Events, 122)
	p.RuleY = p.Reply[len(p.Reply)-1].Y + 30
	for i, e := range r.Events {
		p.Text += e.Text
		p.Moments = append(p.Moments, at(e.At))
		p.Events = append(p.Events, line{
			Y: p.RuleY + 32 + i*eventLeading, Event: i, Time: millis(e.At), Coloured: colour(e.JSON),
		})
	}
	p.Height = max(p.Height, p.Events[len(p.Events)-1].Y+margin)
	return p
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
}

// code lays out the lines of an operation and returns where the next text may stand.
func code(text string, y int) ([]line, int) {
	var lines []line
	for _, l := range strings.Split(text, "\n") {
		lines = append(lines, line{Y: y, Coloured: colour(l)})
		y += codeLeading
	}
	return lines, y
}

// wrap breaks the text of the events into lines, between events only.
func wrap(events []event, y int) []line {
	lines := []line{{Y: y}}
	length := 0
	for i, e := range events {
		if length+len(strings.TrimRight(e.Text, " ")) > replyWidth {
			y += replyLeading
			lines = append(lines, line{Y: y})
			length = 0
		}
		last := &lines[len(lines)-1]
		last.Parts = append(last.Parts, part{i, e.Text})
		length += len(e.Text)
	}
	return lines
}

// word finds what has a colour of its own in GraphQL and in JSON.
var word = regexp.MustCompile(`"[^"]*":?|\$\w+|\b(?:mutation|subscription|on)\b|\b[A-Z]\w*|\b\d+\b|[{}()\[\]:,!.]+`)

// colour marks up a line of GraphQL or JSON.
func colour(text string) string {
	var b strings.Builder
	end := 0
	for _, at := range word.FindAllStringIndex(text, -1) {
		b.WriteString(html.EscapeString(text[end:at[0]]))
		end = at[1]
		fmt.Fprintf(&b, `<tspan class="%s">%s</tspan>`, class(text[at[0]:end]), html.EscapeString(text[at[0]:end]))
	}
	b.WriteString(html.EscapeString(text[end:]))
	return b.String()
}

func class(token string) string {
	switch c := token[0]; {
	case c == '"' && strings.HasSuffix(token, ":"):
		return "k"
	case c == '"':
		return "s"
	case c == '$' || '0' <= c && c <= '9':
		return "n"
	case 'a' <= c && c <= 'z':
		return "w"
	case 'A' <= c && c <= 'Z':
		return "t"
	}
	return "p"
}
