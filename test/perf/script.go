package main

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"
)

// script says what the model answers to a question. It travels within the question.
type script struct {
	key    string        // Names the reply, also in its tokens.
	tokens int           // How many.
	gap    time.Duration // Between two tokens; 0: as fast as it can.
	size   int           // The bytes of a token, at least; 0: as short as can be.
}

// mark begins a script within a question.
const mark = "perf/"

// String is the question.
func (s script) String() string {
	return fmt.Sprintf("%s%s/%d/%d/%d/", mark, s.key, s.tokens, s.gap.Microseconds(), s.size)
}

// parseScript reads the last script in the body of a request, which may hold those of
// earlier questions. It does not parse the body: long ones are part of what is measured.
func parseScript(body []byte) (script, error) {
	at := bytes.LastIndex(body, []byte(mark))
	if at < 0 {
		return script{}, errors.New("no script in the request")
	}
	body = body[at+len(mark):]
	parts := strings.SplitN(string(body[:min(len(body), 200)]), "/", 5)
	if len(parts) < 5 {
		return script{}, errors.New("a script ends early")
	}
	var numbers [3]int
	for i := range numbers {
		n, err := strconv.Atoi(parts[i+1])
		if err != nil {
			return script{}, fmt.Errorf("script: %w", err)
		}
		numbers[i] = n
	}
	return script{key: parts[0], tokens: numbers[0], gap: time.Duration(numbers[1]) * time.Microsecond,
		size: numbers[2]}, nil
}

// tagOf is three letters that tell the tokens of replies apart.
func tagOf(key string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // Never fails.
	tag := "00" + strconv.FormatUint(uint64(h.Sum32()%(36*36*36)), 36)
	return tag[len(tag)-3:]
}

// appendToken appends a token: its number and its time in microseconds in base 36, the
// tag, letters up to the size, and a space.
func appendToken(out []byte, n int, at int64, tag string, size int) []byte {
	begin := len(out)
	out = strconv.AppendInt(out, int64(n), 36)
	out = append(out, '.')
	out = strconv.AppendInt(out, at, 36)
	out = append(out, '.')
	out = append(out, tag...)
	for len(out)-begin < size-1 {
		out = append(out, '_')
	}
	return append(out, ' ')
}

// parseToken reads a token without its space.
func parseToken(text []byte) (n int, at int64, tag string, err error) {
	first, rest, ok := bytes.Cut(text, []byte("."))
	second, third, also := bytes.Cut(rest, []byte("."))
	if !ok || !also {
		return 0, 0, "", fmt.Errorf("%q is no token", short(text))
	}
	number, err := strconv.ParseInt(string(first), 36, 32)
	if err != nil {
		return 0, 0, "", fmt.Errorf("%q is no token: %w", short(text), err)
	}
	if at, err = strconv.ParseInt(string(second), 36, 64); err != nil {
		return 0, 0, "", fmt.Errorf("%q is no token: %w", short(text), err)
	}
	return int(number), at, string(bytes.TrimRight(third, "_")), nil
}

// short is what a message repeats of a text.
func short(text []byte) []byte { return text[:min(len(text), 60)] }
