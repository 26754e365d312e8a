package hosts

import "strconv"

// maxQuoted is how many bytes of a stranger's text are shown.
const maxQuoted = 100

// Quote returns the start of what a stranger wrote, in quotes and in ASCII, for an answer or
// for the log.
func Quote(text string) string {
	if len(text) > maxQuoted {
		return strconv.QuoteToASCII(text[:maxQuoted]) + "…"
	}
	return strconv.QuoteToASCII(text)
}
