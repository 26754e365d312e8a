package upstream

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"parley/internal/complaint"
	"parley/internal/reply"
	"parley/internal/secret"
)

// said is the cause of a failure that a model server has put in words. Its text holds none of
// them, as a *reply.Error must not; only complain reads them.
type said struct {
	cause  error // may be nil
	words  string
	kinds  []string
	window int // of a refusal
}

// Error implements error.
func (s *said) Error() string {
	if s.cause == nil {
		return "its words are logged on their own"
	}
	return s.cause.Error()
}

// Unwrap returns the cause.
func (s *said) Unwrap() error { return s.cause }

const (
	// maxLoggedBytes bounds what is logged of an error.
	maxLoggedBytes = 1 << 10
	// repeatRunes is how long a run of the request may be that is not cut out of what a server says.
	repeatRunes = 20
	// sayEvery is how often one kind of failure is logged with its words.
	sayEvery = time.Minute
)

func newSaying() *complaint.Refrain { return complaint.NewRefrain(sayEvery) }

// complain tells the operator what a server said about a call that failed, in its own words:
// once in a minute for each kind of failure.
func (c *Client) complain(ctx context.Context, req *reply.Request, failure *reply.Error, words *said) {
	reason := strings.ToLower(string(failure.Code))
	attrs := []any{"status", failure.Status, "model", req.Model, "kinds", words.kinds}
	if hint := c.hint(failure); hint != "" {
		attrs = append(attrs, "cause", hint)
	}
	if len(req.Messages) > 0 { // Gone when text has come: then nobody knows what the words repeat.
		attrs = append(attrs, "words", lazyWords{c, req, words.words})
	}
	c.saying.Say(ctx, c.logger, reason, "model server reports an error", attrs...)
}

// lazyWords are made when they are logged.
type lazyWords struct {
	client *Client
	req    *reply.Request
	words  string
}

// LogValue implements slog.LogValuer.
func (l lazyWords) LogValue() slog.Value {
	return slog.StringValue(l.client.doer.errors.redact([]byte(withoutRepeats(l.words, l.req))))
}

// cutMark stands for what is not logged.
const cutMark = "[…]"

// withoutRepeats is the start of words without the runs of 20 characters and more that stand in
// the request, letter case and kinds of white space aside: a server may quote what it was asked.
func withoutRepeats(words string, req *reply.Request) string {
	text := []rune(strings.ToValidUTF8(unescaped(words), "\ufffd"))
	if len(text) > 2*maxLoggedBytes {
		text = text[:2*maxLoggedBytes]
	}
	places := make(map[uint64][]int, len(text))
	roll(runesOf(string(text)), func(end int, hash uint64) { places[hash] = append(places[hash], end-repeatRunes) })
	cut := make([]bool, len(text))
	each := func(s string) {
		roll(runesOf(s), func(_ int, hash uint64) {
			for _, at := range places[hash] {
				for i := range repeatRunes {
					cut[at+i] = true
				}
			}
			delete(places, hash) // Cut already.
		})
	}
	for _, m := range req.Messages {
		each(m.Text())
	}
	for _, s := range req.Parameters.Stop {
		each(s)
	}
	if f := req.Parameters.ResponseFormat; f != nil {
		each(f.Schema)
	}
	var out strings.Builder
	for i, r := range text {
		switch {
		case !cut[i]:
			out.WriteRune(r)
		case i == 0 || !cut[i-1]:
			out.WriteString(cutMark)
		}
	}
	return out.String()
}

var escapes = regexp.MustCompile(`(\\u[0-9a-fA-F]{4})+`)

// unescaped is a text with the characters that its writer has escaped once more, as programs do
// that print a request: a prompt in Chinese would else not be found in it.
func unescaped(text string) string {
	return escapes.ReplaceAllStringFunc(text, func(run string) string {
		plain, ok := (&parser{data: []byte(`"` + run + `"`)}).text(nil)
		if !ok {
			return run
		}
		return string(plain)
	})
}

// runesOf gives the runes of a text as they are compared.
func runesOf(s string) func(yield func(rune) bool) {
	return func(yield func(rune) bool) {
		for _, r := range s {
			if unicode.IsSpace(r) {
				r = ' '
			}
			if !yield(unicode.ToLower(r)) {
				return
			}
		}
	}
}

// roll calls found with the hash of each run of repeatRunes runes, and with the number of runes
// up to its end. Two runs with one hash are taken for the same, which cuts too much at worst.
func roll(runes func(yield func(rune) bool), found func(end int, hash uint64)) {
	const base = 1_000_003
	var top uint64 = 1 // base to the power of repeatRunes
	for range repeatRunes {
		top *= base
	}
	var window [repeatRunes]uint64
	var hash uint64
	n := 0
	for r := range runes {
		slot := &window[n%repeatRunes]
		hash = hash*base + uint64(r) - *slot*top
		*slot = uint64(r)
		if n++; n >= repeatRunes {
			found(n, hash)
		}
	}
}

var (
	keyPattern = regexp.MustCompile(`(?i)\b(sk|pk|rk|key|gsk|xai|pplx|hf|ak|org|proj)[-_][a-z0-9_*.-]{4,}|` +
		`bearer\s+[^\s"',}]+|\b[0-9a-f]{32,}\b|\b[0-9a-z]{40,200}\b|AIza[0-9A-Za-z_*-]{8,}|\beyJ[0-9a-z_.-]{8,}`)
	addressPattern = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://[^\s"'<>)\]]+|[^\s"'<>(]+@[^\s"'<>)]+\.[a-z]{2,}|` +
		`\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b|\[?\b([0-9a-f]{1,4}:){3,7}[0-9a-f]{0,4}\]?(:\d+)?`)
)

// addressMark stands for an address.
const addressMark = "[address]"

// redact returns the start of text without anything that looks like a key or an address, on one
// line.
func (c classifier) redact(text []byte) string {
	// Cut afterwards: half a key would not be recognised.
	s := addressPattern.ReplaceAllString(c.withoutKeys(string(text)), addressMark)
	s = strings.ToValidUTF8(s, "\ufffd")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxLoggedBytes {
		end := maxLoggedBytes
		for !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + cutMark
	}
	return s
}

// withoutKeys returns a text without anything that looks like a key. Servers repeat a key
// masked, or escaped, so also pieces of it.
func (c classifier) withoutKeys(text string) string {
	return keyPattern.ReplaceAllString(c.key.Blot(text), secret.Redacted)
}
