package upstream

import (
	"bytes"
	"errors"
	"hash/maphash"

	"parley/internal/reply"
)

// errNotJSON is a frame that the protocol does not allow.
var errNotJSON = errors.New("a frame of the stream is not JSON")

// frame is what one frame of a stream says. It is reused from frame to frame;
// the slices are valid until the next parse. Text may hold invalid UTF-8, as a
// server may split a character over two frames.
type frame struct {
	text      []byte
	reasoning []byte
	model     []byte
	failed    bool // the frame reports an error
	choices   bool // the frame has a choice
	complaint complaints
	marks

	// What has been seen of the stream, from frame to frame. streamed: a delta has carried
	// something, so that a message repeats what is known; written: it was text. whole: the text is
	// that of messages.
	// thinks is the one member that carries the reasoning; others repeat it. tagged: thoughts
	// of Gemini's are open.
	streamed, written, whole bool
	thinks                   thinker
	tagged                   bool
	said                     [len(reply.Texts{})]repeated

	piece, message carrier // of the choice that is being read
	sources        []source
	seen           map[uint64]struct{} // lists of sources that have been read
	seed           maphash.Seed
	key            []byte // a key with escapes
	scratch        []byte
}

// marks are what a choice says beside its text, to be taken back when it is not the first one.
type marks struct {
	finish  string
	usage   counts
	tools   bool // a tool is called
	omitted omitted
	cited   int // sources
}

// carrier is the text of a delta or of a message.
type carrier struct{ text, reasoning []byte }

func (c *carrier) empty() bool { return len(c.text)+len(c.reasoning) == 0 }

// thinker is the member that carries the reasoning.
type thinker uint8

const (
	nobodyThinks thinker = iota
	reasoningContent
	reasoning
	reasoningDetails
	thinkingBlocks
	thinking
	thinkingPart
	thoughtPart
)

// complaints are members that make an error of a frame without a choice.
type complaints uint8

const (
	complainsInWords complaints = 1 << iota
	complainsInCode
	complains
)

// omitted are kinds of output that cannot be kept.
type omitted uint8

const (
	omittedImage omitted = 1 << iota
	omittedAudio
	omittedOther
)

// kinds returns the kinds by their names.
func (o omitted) kinds() (kinds []reply.OmittedOutput) {
	for i, kind := range []reply.OmittedOutput{reply.OmittedImage, reply.OmittedAudio, reply.OmittedOther} {
		if o&(1<<i) != 0 {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// repeated is what messages have said of one text. Each is to hold all of it so far.
type repeated struct{ text []byte }

// more returns what a message adds to those before it. One that does not go on where they end
// is a server's that sends pieces in messages.
func (s *repeated) more(text []byte) []byte {
	switch {
	case bytes.HasPrefix(text, s.text):
		text = text[len(s.text):]
	case bytes.HasPrefix(s.text, text):
		return nil
	}
	s.text = append(s.text, text...)
	return text
}

// parse reads a frame in one pass, without reflection and, once the slices have
// grown, without allocation. See BenchmarkFrame for what that saves. Members that
// it does not know are skipped, but must be JSON.
func (f *frame) parse(data []byte) error {
	f.text, f.reasoning, f.model, f.sources = f.text[:0], f.reasoning[:0], f.model[:0], f.sources[:0]
	f.failed, f.choices, f.complaint, f.marks = false, false, 0, marks{}
	p := parser{data: data}
	item := func() bool { return p.object(f, func(key []byte) bool { return f.member(&p, key) }) }
	ok := false
	if p.peek() == '[' { // Gemini's form of an error.
		ok = p.array(func() bool {
			if p.peek() != '{' {
				return p.skip(0)
			}
			return item()
		})
	} else {
		ok = item()
	}
	if p.space(); !ok || p.pos != len(p.data) {
		return errNotJSON
	}
	if !f.choices && (f.complaint&complains != 0 || f.complaint == complainsInWords|complainsInCode) {
		f.failed = true
	}
	f.sources = f.sources[:f.cited]
	return nil
}

func (f *frame) member(p *parser, key []byte) (ok bool) {
	switch string(key) {
	case "choices":
		if p.peek() != '[' {
			return p.skip(0)
		}
		return p.array(func() bool { return f.choice(p) })
	case "model":
		f.model, ok = p.text(f.model[:0])
		return ok
	case "usage":
		return f.readUsage(p)
	case "x_groq":
		return f.inside(p, func(key []byte) bool {
			if string(key) == "usage" {
				return f.readUsage(p)
			}
			return f.failure(p, key)
		})
	case "prompt_eval_count", "eval_count":
		return f.usage.read(p, key)
	case "data":
		// Answers of servers for images.
		return f.each(p, func(key []byte) bool { return f.output(p, key) })
	default:
		return f.failure(p, key)
	}
}

// failure reads a member that may report an error.
func (f *frame) failure(p *parser, key []byte) bool {
	switch string(key) {
	case "error", "errors":
		some, ok := p.holds(0)
		f.failed = f.failed || some
		return ok
	case "object", "type":
		// Old vLLM and Anthropic's dialect name the kind of the frame instead.
		start := p.at()
		ok := p.skip(0)
		f.failed = f.failed || string(p.data[start:p.pos]) == `"error"`
		return ok
	case "base_resp": // MiniMax: 0 is success.
		return f.inside(p, func(key []byte) bool {
			if string(key) != "status_code" {
				return p.skip(0)
			}
			some, ok := p.holds(0)
			f.failed = f.failed || some
			return ok
		})
	case "detail":
		return f.complain(p, complains)
	case "success":
		start := p.at()
		ok := p.skip(0)
		if string(p.data[start:p.pos]) == "false" {
			f.complaint |= complains
		}
		return ok
	case "message", "msg", "error_msg", "errorMessage":
		if p.peek() != '"' {
			return p.skip(0)
		}
		return f.complain(p, complainsInWords)
	case "code", "status", "status_code", "error_code", "errorCode":
		start := p.at()
		some, ok := p.holds(0)
		switch string(p.data[start:p.pos]) {
		case "200", `"200"`, `"0"`, `"ok"`, `"success"`:
		default:
			if some {
				f.complaint |= complainsInCode
			}
		}
		return ok
	default:
		return f.source(p, key)
	}
}

func (f *frame) complain(p *parser, c complaints) bool {
	some, ok := p.holds(0)
	if some {
		f.complaint |= c
	}
	return ok
}

// inside reads the members of an object; another value is skipped.
func (f *frame) inside(p *parser, member func(key []byte) bool) bool {
	if p.peek() != '{' {
		return p.skip(0)
	}
	return p.object(f, member)
}

// each reads the members of the objects in an array, or of one object.
func (f *frame) each(p *parser, member func(key []byte) bool) bool {
	if p.peek() != '[' {
		return f.inside(p, member)
	}
	return p.array(func() bool { return f.inside(p, member) })
}
