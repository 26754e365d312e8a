package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// The ways in which an event stream can end, beside errors of the connection.
var (
	// errCut: the stream ended after frames, without the end marker.
	errCut = errors.New("the stream ended without its end marker")
	// errEmpty: the answer ended without a single frame.
	errEmpty = errors.New("the answer holds no event")
	// errHTML: the answer is a web page.
	errHTML = errors.New("the answer is a web page, not an event stream")
	// errDocument: the answer was one JSON document, which has been returned.
	errDocument = errors.New("the answer is a document, not an event stream")
	// errTooLong: a line or a frame is over the limit.
	errTooLong = errors.New("a line of the stream is too long")
	// errNotYet: there is no further frame in what has been read.
	errNotYet = errors.New("the next frame has not arrived")
)

// endMarker is the payload that ends a stream.
var endMarker = []byte("[DONE]")

// event is one frame of a stream: its payload on one line and whether its event
// field said "error". data is valid until the next call.
type event struct {
	data   []byte
	failed bool
}

// eventReader reads server-sent events, as the standard has them and as model
// servers send them. It takes LF, CRLF and CR, a byte order mark, comments,
// fields it does not know, payloads over several lines and a last line without
// an end. Beyond the standard it takes
//
//   - frames that are not separated by an empty line,
//   - the end marker without an empty line after it,
//   - a JSON object on a line of its own, or in a field called error, which is how some
//     servers report errors,
//   - an answer that is a JSON document, returned as its only frame.
//
// Memory is bounded by the limit for a line. A line that is longer only because of something
// that is no text, such as an image, is shortened: see skimmer. Not safe for concurrent use.
type eventReader struct {
	src   io.Reader
	limit int // bytes of a line and of a frame

	buf      []byte // read from src, not yet consumed: buf[pos:end]
	pos, end int
	err      error // of src, reported once buf is consumed
	skipLF   bool  // the last line ended in CR, so an LF now belongs to it

	long    []byte // the line being put together when it spans reads
	raw     int    // bytes of that line, with those that were cut from it
	skim    *skimmer
	skims   bool   // that line is skimmed
	noise   []byte // the beginning of the first line that is no event
	data    []byte // the payload being put together
	lines   int    // data lines in data
	failed  bool   // the event field was "error"
	pending []byte // a line that was read but belongs to the next frame
	started bool   // a line that is not empty was seen
	whole   bool   // the answer began as a JSON document
	frames  int    // returned so far
	waits   bool   // the source may be read
	within  bool   // data holds the begin of a frame whose rest has not been read
}

// The sizes of what is read at once. A model writes a few hundred bytes at a time, and a
// reader is held for as long as it does: only one that gets more than it has room for grows,
// up to the size of the buffer below, of net/http: more is not there at once, mostly.
const (
	firstReadSize = 1 << 10
	maxReadSize   = 4 << 10
)

func newEventReader(src io.Reader, limit int) *eventReader {
	return &eventReader{src: src, limit: limit, buf: make([]byte, firstReadSize)}
}

// next returns the next frame that has a payload. Its error is never io.EOF: it
// is one of the errors above or that of the source.
func (r *eventReader) next() (event, error) {
	r.waits = true
	return r.frame()
}

// more returns a frame that has been read already, behind the last one: it does not wait for
// the source, and returns errNotYet when there is none. Otherwise it is next.
func (r *eventReader) more() (event, error) {
	r.waits = false
	return r.frame()
}

func (r *eventReader) frame() (event, error) {
	if !r.within {
		r.data, r.lines, r.failed = r.data[:0], 0, false
	}
	r.within = false
	for {
		line, err := r.line()
		if err != nil {
			if errors.Is(err, errNotYet) {
				r.within = true
				return event{}, err
			}
			if (r.failed || r.lines > 0) && errors.Is(err, io.EOF) {
				// The rest is there, only the empty line is not.
				return r.dispatch(), nil
			}
			return event{}, r.ending(err)
		}
		if len(line) == 0 {
			if r.failed || len(bytes.TrimSpace(r.data)) > 0 {
				return r.dispatch(), nil
			}
			r.data, r.lines = r.data[:0], 0
			continue
		}
		if !r.started {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
			first := bytes.TrimSpace(line)
			if len(first) == 0 {
				continue
			}
			r.started = true
			switch first[0] {
			case '<':
				return event{}, errHTML
			case '{', '[':
				return r.document(first)
			}
		}
		done, err := r.field(line)
		if err != nil {
			return event{}, err
		}
		if done {
			return r.dispatch(), nil
		}
	}
}

// field takes one line that is not empty. It reports whether the frame is
// complete without an empty line.
func (r *eventReader) field(line []byte) (done bool, err error) {
	if line[0] == '{' {
		if r.lines > 0 {
			r.pending = append(r.pending[:0], line...)
			return true, nil
		}
		return true, r.append(line)
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	if string(name) == "error" && bytes.HasPrefix(value, []byte("{")) {
		r.failed, name = true, []byte("data")
	}
	switch string(name) {
	case "data":
		if r.lines > 0 && complete(r.data) {
			r.pending = append(r.pending[:0], line...)
			return true, nil
		}
		if err := r.append(value); err != nil {
			return false, err
		}
		return bytes.Equal(bytes.TrimSpace(r.data), endMarker), nil
	case "event":
		r.failed = string(bytes.TrimSpace(value)) == "error"
	case "", "id", "retry":
	default:
		if r.frames == 0 && len(r.noise) == 0 {
			r.noise = append(r.noise, line[:min(len(line), maxNoise)]...)
		}
	}
	return false, nil
}

// maxNoise is how much is kept of an answer that may be an error in plain text.
const maxNoise = 1 << 10

func (r *eventReader) append(value []byte) error {
	if len(r.data)+len(value) > r.limit {
		return errTooLong
	}
	if r.lines > 0 {
		// The standard joins with LF. CR means the same to JSON and leaves the
		// payload on one line.
		r.data = append(r.data, '\r')
	}
	r.data = append(r.data, value...)
	r.lines++
	return nil
}

// complete reports whether data is a payload by itself, so that a further data
// line starts a new frame.
func complete(data []byte) bool {
	data = bytes.TrimSpace(data)
	return len(data) > 0 && data[0] == '{' && data[len(data)-1] == '}' && json.Valid(data)
}

func (r *eventReader) dispatch() event {
	r.frames++
	return event{data: bytes.TrimSpace(r.data), failed: r.failed}
}

func (r *eventReader) ending(err error) error {
	switch {
	case !errors.Is(err, io.EOF):
		return err
	case r.frames == 0:
		return errEmpty
	case r.whole && r.frames == 1:
		return errDocument
	default:
		return errCut
	}
}

// document reads an answer that begins as JSON does. A first line that is a
// value by itself is taken for a frame, as the server may not close the
// connection; anything else is read to its end.
func (r *eventReader) document(first []byte) (event, error) {
	r.whole = true
	if err := r.append(first); err != nil {
		return event{}, err
	}
	if json.Valid(r.data) {
		return r.dispatch(), nil
	}
	for {
		line, err := r.line()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return event{}, err
		}
		if err := r.append(line); err != nil {
			return event{}, err
		}
	}
	if !json.Valid(r.data) {
		return event{}, errDocument
	}
	return r.dispatch(), nil
}

// line returns the next line without its end, or the unended rest before io.EOF.
func (r *eventReader) line() ([]byte, error) {
	if len(r.pending) > 0 {
		line := r.pending
		r.pending = nil
		return line, nil
	}
	r.long, r.raw, r.skims = r.long[:0], 0, false
	for {
		if r.skipLF && r.pos < r.end {
			r.skipLF = false
			if r.buf[r.pos] == '\n' {
				r.pos++
			}
		}
		rest := r.buf[r.pos:r.end]
		if i := lineEnd(rest); i >= 0 {
			r.skipLF = rest[i] == '\r'
			r.pos += i + 1
			if len(r.long) == 0 && i <= r.skimFrom() {
				return rest[:i], nil
			}
			err := r.keep(rest[:i])
			return r.long, err
		}
		if !r.waits && r.err == nil {
			return nil, errNotYet // Nothing of the line has been taken.
		}
		if err := r.keep(rest); err != nil {
			return nil, err
		}
		if r.end == len(r.buf) && r.end < maxReadSize {
			r.buf = make([]byte, 2*len(r.buf))
		}
		r.pos, r.end = 0, 0
		if r.err != nil {
			if len(r.long) > 0 && errors.Is(r.err, io.EOF) {
				return r.long, nil
			}
			return nil, r.err
		}
		r.end, r.err = r.src.Read(r.buf)
	}
}

// keep adds to the line that is being put together. From some length on it is skimmed.
func (r *eventReader) keep(b []byte) error {
	r.raw += len(b)
	switch {
	case r.skims:
		r.long = r.skim.skim(r.long, b)
	case len(r.long)+len(b) > r.skimFrom():
		if r.skim == nil {
			r.skim = &skimmer{}
		}
		r.skims = true
		r.skim.reset(min(skimKeep, r.limit/8))
		line := r.skim.skim(r.long[:0], r.long) // In place: it only becomes shorter.
		r.long = r.skim.skim(line, b)
	default:
		r.long = append(r.long, b...)
	}
	if len(r.long) > r.limit || r.raw > skimMost*r.limit {
		return errTooLong
	}
	return nil
}

func (r *eventReader) skimFrom() int { return min(skimFrom, r.limit) }

// lineEnd returns the index of the first LF or CR in b, or -1.
func lineEnd(b []byte) int {
	lf := bytes.IndexByte(b, '\n')
	if lf >= 0 {
		b = b[:lf]
	}
	if cr := bytes.IndexByte(b, '\r'); cr >= 0 {
		return cr
	}
	return lf
}
