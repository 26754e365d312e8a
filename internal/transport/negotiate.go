package transport

import (
	"mime"
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

// parseAccept returns what a client takes, best first: by weight, then in the order
// of the header (RFC 9110, 12.5.1). A missing header and */* mean
// application/json, for the clients from before graphql-response+json.
func parseAccept(headers []string) []accepted {
	header := strings.Join(headers, ",")
	if strings.TrimSpace(header) == "" {
		return []accepted{{formatJSON, 1}}
	}
	var list []accepted
	for _, entry := range splitOutsideQuotes(header) {
		media, params, err := mime.ParseMediaType(entry)
		if err != nil {
			continue
		}
		q := 1.0
		if text, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(text, 64); err != nil || q < 0 || q > 1 {
				continue
			}
		}
		f := formatNone
		switch media {
		case "application/json", "application/*", "*/*":
			f = formatJSON
		case "application/graphql-response+json":
			f = formatResponse
		case "text/event-stream":
			f = formatEvents
		case "multipart/mixed":
			// Without the parameter the client means something else by parts, such as
			// deferred results. Some quote the value.
			if params["subscriptionspec"] == "1.0" {
				f = formatMultipart
			}
		}
		if f == formatNone || q == 0 {
			continue
		}
		// Insertion keeps the header's order among equals.
		at := len(list)
		for at > 0 && list[at-1].q < q {
			at--
		}
		list = append(list[:at], append([]accepted{{f, q}}, list[at:]...)...)
	}
	return list
}

// splitOutsideQuotes splits at commas that are not inside a quoted parameter.
func splitOutsideQuotes(s string) []string {
	var parts []string
	quoted, start := false, 0
	for i := range len(s) {
		switch s[i] {
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				parts = append(parts, s[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, s[start:])
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
