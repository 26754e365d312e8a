package upstream

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"parley/internal/reply"
)

// refusal is an error body, in the spellings that servers use: {"error":{"message","type",
// "code"}}, {"error":"text"}, the same members at the top, {"detail":[{"loc","msg"}]}, MiniMax's
// {"base_resp":{...}}, Gemini's array of them, an error inside a choice, an envelope that is a
// text of another one, plain text.
type refusal struct {
	status int    // A number in code that is an HTTP status.
	kinds  string // Codes and types, lower case, each between spaces.
	// message is all that is said in words, lower case, with what FastAPI says of places.
	message string
	// words is what is said in words, as it is said, and names what is named beside them.
	words, names string
	// parameters are the members of the request that it names as such.
	parameters []string
	// window is a context that it names as a number of its own: llama.cpp's n_ctx.
	window int
	// object is whether the body is an object, or an array of some.
	object bool
}

// The bounds of an envelope: deeper, or behind so many others, no server hides its reason.
const (
	maxRefusalDepth = 8
	maxEnvelopes    = 8
)

// readRefusal reads what a server said of an error: a body, a frame, or plain text. It is the
// one reader of all of them.
func readRefusal(body []byte) refusal {
	r := refusal{kinds: " "}
	var top any
	if json.Unmarshal(body, &top) != nil && json.Unmarshal(closed(body), &top) != nil {
		r.say(string(body))
	} else {
		r.read(top, 0)
	}
	r.fold()
	return r
}

// fold makes the message of what is said.
func (r *refusal) fold() {
	r.message = strings.ToLower(strings.ReplaceAll(r.words+" "+r.names, `\`, ""))
}

// unquoted is a refusal without what it repeats of the request. What is learnt from it holds for
// others too: nobody may say it in the place of the server.
func (r refusal) unquoted(req *reply.Request) refusal {
	if r.words = withoutRepeats(r.words, req); len(req.Messages) == 0 {
		r.words = "" // They are gone: nobody knows what the words repeat.
	}
	r.fold()
	return r
}

// closed is a body of JSON that was cut off, as far as its last comma: the rest may be the request,
// which FastAPI repeats, and is not what the server says.
func closed(body []byte) []byte {
	if start := bytes.TrimLeft(body, " \t\r\n"); len(start) == 0 || start[0] != '{' && start[0] != '[' {
		return nil
	}
	var open, ends []byte // What closes the values that are open now, and at the last comma.
	inString, last := false, 0
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			inString = !inString
		case inString && c == '\\':
			i++
		case inString:
		case c == '{' || c == '[':
			open = append(open, c+2) // The closing one, in ASCII.
		case (c == '}' || c == ']') && len(open) > 0:
			open = open[:len(open)-1]
		case c == ',':
			last, ends = i, append(ends[:0], open...)
		}
	}
	slices.Reverse(ends)
	return slices.Concat(body[:last], ends)
}

// say adds words. A text may hold an envelope of its own.
func (r *refusal) say(text string) {
	if text = strings.TrimSpace(text); text != "" {
		if r.words != "" {
			r.words += " "
		}
		r.words += text
	}
}

// Members of envelopes, in the order in which they are read: what is said in words, and in
// what further envelopes stand. Others, such as the text that was flagged, may repeat the prompt.
var (
	kindMembers = []string{"code", "Code", "type", "status", "reason", "error_type", "error_code", "errorCode"}
	wordMembers = []string{"message", "Message", "msg", "description", "status_msg", "error_msg", "errorMessage",
		"error_message"}
	envelopeMembers = []string{"error", "errors", "Error", "detail", "details", "fieldViolations", "innererror",
		"metadata", "raw", "base_resp", "choices", "delta", "x_groq", "Response"}
)

func (r *refusal) read(v any, depth int) {
	if depth > maxRefusalDepth {
		return
	}
	switch v := v.(type) {
	case string:
		r.readText(v, depth)
	case []any:
		for _, item := range v[:min(len(v), maxEnvelopes)] {
			r.read(item, depth+1)
		}
	case map[string]any:
		r.object = true
		r.readMembers(v, depth)
	}
}

// readText takes a text, or the envelope that it is.
func (r *refusal) readText(text string, depth int) {
	var inner map[string]any
	if strings.HasPrefix(strings.TrimSpace(text), "{") && json.Unmarshal([]byte(text), &inner) == nil {
		r.read(inner, depth+1)
		return
	}
	r.say(text)
}

func (r *refusal) readMembers(m map[string]any, depth int) {
	for _, name := range kindMembers {
		r.readKind(m[name])
	}
	for _, name := range wordMembers {
		r.read(m[name], depth+1)
	}
	if param, ok := m["param"].(string); ok {
		r.name(param)
	}
	if place, ok := m["loc"].([]any); ok {
		r.readPlace(place)
	}
	if n, ok := m["n_ctx"].(float64); ok && n > 0 {
		r.window = int(min(n, maxWindow))
	}
	if code, ok := m["status_code"].(float64); ok {
		r.kinds += "base_resp_" + strconv.Itoa(int(code)) + " "
	}
	for _, name := range envelopeMembers {
		r.read(m[name], depth+1)
	}
}

func (r *refusal) readKind(v any) {
	switch v := v.(type) {
	case float64:
		r.code(int(v))
	case string:
		if n, err := strconv.Atoi(v); err == nil {
			r.code(n)
		}
		r.kinds += strings.ToLower(v) + " "
	}
}

func (r *refusal) code(n int) {
	if n >= 400 && n < 600 {
		r.status = n
	} else if n != 0 {
		r.kinds += "code_" + strconv.Itoa(n) + " "
	}
}

// readPlace takes a place in the request as FastAPI names it: ["body", "messages", 0, "role"].
func (r *refusal) readPlace(place []any) {
	var names []string
	for _, step := range place {
		if name, ok := step.(string); ok && name != "body" {
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 0:
	case names[0] == "messages":
		r.name(strings.Join(names, "."))
	default:
		r.name(names[0])
	}
}

func (r *refusal) name(parameter string) {
	if parameter != "" {
		r.parameters = append(r.parameters, strings.ToLower(parameter))
		r.names += " " + parameter
	}
}

// noJSON returns the error that a frame stands for which is no JSON. Plain text may say what has
// happened; a broken piece of JSON may hold words of the reply, which say nothing.
func (c classifier) noJSON(data []byte, header http.Header, cause error) *reply.Error {
	if text := bytes.TrimSpace(data); len(text) > 0 && text[0] != '{' && text[0] != '[' {
		if err := c.frame(text, header); err.Code != reply.CodeUpstream {
			return err
		}
	}
	return &reply.Error{Code: reply.CodeProtocol, Status: http.StatusOK, Err: cause}
}

func (r *refusal) kind(words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(r.kinds, w) })
}

func (r *refusal) says(phrases ...string) bool {
	return slices.ContainsFunc(phrases, func(p string) bool { return strings.Contains(r.message, p) })
}

// wrongPath reports whether a refusal is that of a path that does not exist.
func (r *refusal) wrongPath(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return !r.object || r.says("not found", "invalid url", "unexpected endpoint", "no route", "cannot post",
			"unknown path", "unknown url", "unrecognized request url", "not allowed", "no static resource")
	}
	return false
}
