package transport

import (
	"cmp"
	"mime"
	"slices"
	"strconv"
	"strings"
)

// format is a form of answer.
type format uint8

const (
	formatNone      format = iota // nothing the client takes
	formatJSON                    // application/json
	formatResponse                // application/graphql-response+json
	formatEvents                  // text/event-stream
	formatMultipart               // multipart/mixed with subscriptionSpec
)

func (f format) contentType() string {
	switch f {
	case formatResponse:
		return "application/graphql-response+json; charset=utf-8"
	case formatEvents:
		return "text/event-stream"
	case formatMultipart:
		return `multipart/mixed;boundary="graphql";subscriptionSpec=1.0`
	}
	return "application/json; charset=utf-8"
}

func (f format) isJSON() bool { return f == formatJSON || f == formatResponse }

// accepted is one entry of an Accept header that is of use here.
type accepted struct {
	format format
	q      float64
}

// The bounds of what is read of an Accept header. Those of real clients have ten entries
// at the most, and none is longer than a hundred bytes.
const (
	maxAccepted      = 64
	maxAcceptedBytes = 256
)

// parseAccept returns what a client takes, best first: by weight, then in the order
// of the header (RFC 9110, 12.5.1). A missing header and */* mean
// application/json, for the clients from before graphql-response+json. There is one place
// for each format, for its best entry; what lies beyond the bounds is not there.
func parseAccept(headers []string) []accepted {
	var best [formatMultipart + 1]accepted
	given, order := 0, make([]accepted, 0, len(best))
	for _, header := range headers {
		for rest := header; rest != "" && given < maxAccepted; given++ {
			var entry string
			entry, rest = cutOutsideQuotes(rest)
			a := parseAccepted(entry)
			if a.format == formatNone || a.q <= best[a.format].q {
				continue
			}
			// The later entry has its own place in the order of the header.
			order = slices.DeleteFunc(order, func(known accepted) bool { return known.format == a.format })
			best[a.format], order = a, append(order, a)
		}
	}
	if given == 0 || blank(headers) {
		return []accepted{{formatJSON, 1}}
	}
	slices.SortStableFunc(order, func(a, b accepted) int { return cmp.Compare(b.q, a.q) })
	return order
}

func blank(headers []string) bool {
	return !slices.ContainsFunc(headers, func(h string) bool { return strings.TrimSpace(h) != "" })
}

// parseAccepted reads one entry, and gives formatNone for one that is of no use here.
func parseAccepted(entry string) accepted {
	if len(entry) > maxAcceptedBytes {
		return accepted{}
	}
	media, params, err := mime.ParseMediaType(entry)
	if err != nil {
		return accepted{}
	}
	q := 1.0
	if text, ok := params["q"]; ok {
		if q, err = strconv.ParseFloat(text, 64); err != nil || !(q >= 0 && q <= 1) {
			return accepted{}
		}
	}
	switch media {
	case "application/json", "application/*", "*/*":
		return accepted{formatJSON, q}
	case "application/graphql-response+json":
		return accepted{formatResponse, q}
	case "text/event-stream":
		return accepted{formatEvents, q}
	case "multipart/mixed":
		// Without the parameter the client means something else by parts, such as
		// deferred results. Some quote the value.
		if params["subscriptionspec"] == "1.0" {
			return accepted{formatMultipart, q}
		}
	}
	return accepted{}
}

// cutOutsideQuotes cuts at the first comma that is not inside a quoted parameter.
func cutOutsideQuotes(s string) (before, after string) {
	quoted := false
	for i := range len(s) {
		switch s[i] {
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				return s[:i], s[i+1:]
			}
		}
	}
	return s, ""
}

// forResult is the form of a single result. JSON when the client takes any, even
// where it likes streams better: urql lists text/event-stream for every query and
// cannot want it. A stream only when nothing else will do.
func forResult(list []accepted) format {
	best := formatNone
	for _, a := range list {
		switch {
		case a.format.isJSON():
			return a.format
		case best == formatNone:
			best = a.format
		}
	}
	return best
}

// forStream is the form of several results, or formatNone.
func forStream(list []accepted) format {
	for _, a := range list {
		if !a.format.isJSON() {
			return a.format
		}
	}
	return formatNone
}
