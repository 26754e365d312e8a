package upstream

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// inParts gives a stream in reads that end where it is cut.
type inParts struct {
	parts []string
	reads int
}

func (r *inParts) Read(p []byte) (int, error) {
	if len(r.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.parts[0])
	if r.parts[0] = r.parts[0][n:]; r.parts[0] == "" {
		r.parts = r.parts[1:]
	}
	r.reads++
	return n, nil
}

// What has arrived is returned without another read, and what has not arrived is not lost:
// wherever a stream is cut in two, the same frames come.
func TestFramesThatHaveArrived(t *testing.T) {
	t.Parallel()
	for name, stream := range map[string]string{
		"lf":        "data: {\"a\":1}\n\n: note\n\ndata: {\"b\":2}\ndata: {\"c\":3}\n\nevent: x\ndata: {\"d\":\ndata: 4}\n\ndata: [DONE]\n\n",
		"crlf":      "data: {\"a\":1}\r\n\r\n: note\r\n\r\ndata: {\"b\":2}\r\n\r\ndata: [DONE]\r\n\r\n",
		"lines":     "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n",
		"no spaces": "data:{\"a\":1}\n\ndata:{\"b\":2}\n\ndata:[DONE]",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := framesOf(t, newEventReader(strings.NewReader(stream), 1<<16))
			for cut := range stream {
				src := &inParts{parts: []string{stream[:cut], stream[cut:]}}
				if got := framesOf(t, newEventReader(src, 1<<16)); !slices.Equal(got, want) {
					t.Fatalf("cut at %d: got %q, want %q", cut, got, want)
				}
			}
			for _, bytes := range []int{1, 2, 3, 7} {
				src := &inParts{}
				for part := range slices.Chunk([]byte(stream), bytes) {
					src.parts = append(src.parts, string(part))
				}
				if got := framesOf(t, newEventReader(src, 1<<16)); !slices.Equal(got, want) {
					t.Fatalf("%d bytes a read: got %q, want %q", bytes, got, want)
				}
			}
		})
	}
}

// framesOf reads a stream as a reading does.
func framesOf(t *testing.T, r *eventReader) (frames []string) {
	t.Helper()
	for {
		e, err := r.next()
		for err == nil {
			frames = append(frames, fmt.Sprint(e.failed, string(e.data)))
			e, err = r.more()
		}
		if !errors.Is(err, errNotYet) {
			return append(frames, err.Error())
		}
	}
}

// More never reads.
func TestMoreDoesNotWait(t *testing.T) {
	t.Parallel()
	src := &inParts{parts: []string{"data: {}\n\ndata: {}\n\n: a note\n\ndata: {", "}\n\n"}}
	r := newEventReader(src, 1<<16)
	for i, step := range []struct {
		ask   func() (event, error)
		err   error
		reads int
	}{{r.next, nil, 1}, {r.more, nil, 1}, {r.more, errNotYet, 1}, {r.more, errNotYet, 1}, {r.next, nil, 2}} {
		e, err := step.ask()
		if !errors.Is(err, step.err) || err == nil && string(e.data) != "{}" || src.reads != step.reads {
			t.Errorf("step %d: got %q, %v after %d reads, want %v after %d",
				i, e.data, err, src.reads, step.err, step.reads)
		}
	}
}
