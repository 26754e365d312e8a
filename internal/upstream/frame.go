package upstream

import (
	"bytes"
	"errors"

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
	finish    string
	model     []byte
	usage     reply.Usage // all zero when the frame does not count
	failed    bool        // the frame reports an error
	choices   bool        // the frame has the member that makes it one of the protocol

	other []byte // the second spelling of reasoning, of the choice being read
	key   []byte // a key with escapes
}

// parse reads a frame in one pass, without reflection and, once the slices have
// grown, without allocation. See BenchmarkFrame for what that saves. Members that
// it does not know are skipped, but must be JSON.
func (f *frame) parse(data []byte) error {
	f.text, f.reasoning, f.model = f.text[:0], f.reasoning[:0], f.model[:0]
	f.finish, f.failed, f.choices, f.usage = "", false, false, reply.Usage{}
	p := parser{data: data}
	if !p.object(f, func(key []byte) bool { return f.member(&p, key) }) {
		return errNotJSON
	}
	if p.space(); p.pos != len(p.data) {
		return errNotJSON
	}
	return nil
}

func (f *frame) member(p *parser, key []byte) (ok bool) {
	switch string(key) {
	case "choices":
		f.choices = true
		if p.peek() != '[' {
			return p.skip(0)
		}
		return p.array(func() bool { return f.choice(p) })
	case "usage":
		if p.peek() != '{' {
			return p.skip(0)
		}
		return f.readUsage(p)
	case "model":
		f.model, ok = p.text(f.model[:0])
		return ok
	case "error":
		start := p.at()
		if !p.skip(0) {
			return false
		}
		switch string(bytes.TrimSpace(p.data[start:p.pos])) {
		case "null", "false", `""`:
		default:
			f.failed = true
		}
		return true
	case "object", "type":
		// Old vLLM and Anthropic's dialect name the kind of the frame instead.
		start := p.at()
		ok := p.skip(0)
		f.failed = f.failed || string(p.data[start:p.pos]) == `"error"`
		return ok
	default:
		return p.skip(0)
	}
}

// choice reads one choice. Only the one with index 0 counts, and its index may
// come last, so that what was read is taken back if it is another one.
func (f *frame) choice(p *parser) bool {
	if p.peek() != '{' {
		return p.skip(0)
	}
	text, reasoning, finish, index := len(f.text), len(f.reasoning), f.finish, 0
	f.other = f.other[:0]
	ok := p.object(f, func(key []byte) bool {
		switch string(key) {
		case "index":
			index = p.number()
			return index >= 0
		case "finish_reason":
			var buf [24]byte
			reason, ok := p.text(buf[:0])
			f.finish = string(reason)
			return ok
		case "delta", "message":
			// A server that does not stream sends one message in place of deltas.
			if p.peek() != '{' {
				return p.skip(0)
			}
			return p.object(f, func(key []byte) bool { return f.delta(p, key) })
		default:
			return p.skip(0)
		}
	})
	if len(f.reasoning) == reasoning {
		f.reasoning = append(f.reasoning, f.other...)
	}
	if index != 0 {
		f.text, f.reasoning, f.finish = f.text[:text], f.reasoning[:reasoning], finish
	}
	return ok
}

func (f *frame) delta(p *parser, key []byte) (ok bool) {
	switch string(key) {
	case "content":
		if p.peek() == '[' {
			return p.array(func() bool { return f.part(p) })
		}
		f.text, ok = p.text(f.text)
	case "refusal":
		// A model that refuses to fill in a schema says so here and nothing in
		// content; to the reader it is the reply.
		f.text, ok = p.text(f.text)
	case "reasoning_content":
		f.reasoning, ok = p.text(f.reasoning)
	case "reasoning":
		// Some servers send the same text under both names.
		f.other, ok = p.text(f.other)
	default:
		ok = p.skip(0)
	}
	return ok
}

// part reads one part of a content array, as Mistral's reasoning models send:
// text, or thinking with parts of its own.
func (f *frame) part(p *parser) bool {
	if p.peek() != '{' {
		return p.skip(0)
	}
	return p.object(f, func(key []byte) (ok bool) {
		switch string(key) {
		case "text":
			f.text, ok = p.text(f.text)
			return ok
		case "thinking":
			if p.peek() != '[' {
				f.reasoning, ok = p.text(f.reasoning)
				return ok
			}
			return p.array(func() bool {
				if p.peek() != '{' {
					return p.skip(0)
				}
				return p.object(f, func(key []byte) (ok bool) {
					if string(key) != "text" {
						return p.skip(0)
					}
					f.reasoning, ok = p.text(f.reasoning)
					return ok
				})
			})
		default:
			return p.skip(0)
		}
	})
}

func (f *frame) readUsage(p *parser) bool {
	return p.object(f, func(key []byte) bool {
		var field *int
		switch string(key) {
		case "prompt_tokens":
			field = &f.usage.PromptTokens
		case "completion_tokens":
			field = &f.usage.CompletionTokens
		case "prompt_tokens_details", "completion_tokens_details":
			if p.peek() != '{' {
				return p.skip(0)
			}
			return p.object(f, func(key []byte) bool {
				var field **int
				switch string(key) {
				case "cached_tokens":
					field = &f.usage.CachedTokens
				case "reasoning_tokens":
					field = &f.usage.ReasoningTokens
				default:
					return p.skip(0)
				}
				n := p.number()
				told := max(n, 0)
				*field = &told
				return n >= 0
			})
		default:
			return p.skip(0)
		}
		n := p.number()
		*field = max(n, 0)
		return n >= 0
	})
}
