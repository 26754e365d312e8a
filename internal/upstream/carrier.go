package upstream

import (
	"bytes"

	"parley/internal/reply"
)

// choice reads one choice. Only the one with index 0 counts, and its index may
// come last, so that what was read is taken back if it is another one.
func (f *frame) choice(p *parser) bool {
	if p.peek() != '{' {
		return p.skip(0)
	}
	f.choices = true
	marks, failed, thinks, index := f.marks, f.failed, f.thinks, 0
	f.piece = carrier{f.piece.text[:0], f.piece.reasoning[:0]}
	f.message = carrier{f.message.text[:0], f.message.reasoning[:0]}
	ok := p.object(f, func(key []byte) bool {
		switch string(key) {
		case "index":
			index = p.number()
			return index >= 0
		case "finish_reason", "finishReason":
			var buf [24]byte
			reason, ok := p.text(buf[:0])
			f.finish = string(reason)
			return ok
		case "delta":
			return f.carried(p, &f.piece)
		case "message":
			return f.carried(p, &f.message)
		case "usage":
			return f.readUsage(p)
		case "error":
			return f.failure(p, key)
		default:
			return f.source(p, key)
		}
	})
	if index != 0 {
		f.marks, f.failed, f.thinks = marks, failed, thinks
		return ok
	}
	f.carry()
	return ok
}

// carry takes the text of a choice from its one carrier: from the delta, or, where none has
// carried anything yet, from the message, which holds the whole text. A server whose deltas have
// only thought so far may say the answer in a message.
func (f *frame) carry() {
	switch {
	case !f.piece.empty():
		f.streamed, f.whole = true, false
		f.written = f.written || len(f.piece.text) > 0
		f.text = append(f.text, f.piece.text...)
		f.reasoning = append(f.reasoning, f.piece.reasoning...)
	case f.written || f.message.empty():
	case !f.streamed:
		f.reasoning = append(f.reasoning, f.said[reply.Reasoning].more(f.message.reasoning)...)
		fallthrough
	case len(f.message.text) > 0:
		f.whole = true
		f.text = append(f.text, f.said[reply.Content].more(f.message.text)...)
	}
}

// carried reads a delta or a message.
func (f *frame) carried(p *parser, c *carrier) bool {
	thought, start := false, len(c.text)
	ok := f.inside(p, func(key []byte) bool {
		if string(key) == "extra_content" {
			return f.inside(p, func(key []byte) bool {
				if string(key) != "google" {
					return p.skip(0)
				}
				return f.inside(p, func(key []byte) (ok bool) {
					if string(key) != "thought" {
						return f.source(p, key)
					}
					thought, ok = p.holds(0)
					return ok
				})
			})
		}
		return f.carries(p, c, key)
	})
	f.google(c, start, thought)
	return ok
}

// The tags that Gemini's server puts around thoughts, beside the member that marks them.
var (
	thoughtBegins = []byte("<thought>")
	thoughtEnds   = []byte("</thought>")
)

// google moves text to the reasoning that is marked as a thought, and takes the tags away.
func (f *frame) google(c *carrier, start int, thought bool) {
	text := c.text[start:]
	switch {
	case thought:
		f.tagged = true
		f.reason(c, thoughtPart, func() bool {
			c.reasoning = append(c.reasoning, bytes.TrimPrefix(text, thoughtBegins)...)
			return true
		})
		c.text = c.text[:start]
	case f.tagged && len(text) > 0:
		f.tagged = false
		if rest, ok := bytes.CutPrefix(text, thoughtEnds); ok {
			c.text = append(c.text[:start], rest...)
		}
	}
}

// carries reads a member of a delta or of a message.
func (f *frame) carries(p *parser, c *carrier, key []byte) (ok bool) {
	switch string(key) {
	case "content":
		switch p.peek() {
		case '[':
			return p.array(func() bool { return f.part(p, c) })
		case '{':
			return f.part(p, c)
		}
		c.text, ok = p.text(c.text)
		return ok
	case "refusal":
		// A model that refuses to fill in a schema says so here and nothing in
		// content; to the reader it is the reply.
		c.text, ok = p.text(c.text)
		return ok
	case "reasoning_content":
		return f.thought(p, c, reasoningContent)
	case "reasoning", "reasoning_text":
		return f.thought(p, c, reasoning)
	case "reasoning_details":
		return f.thought(p, c, reasoningDetails)
	case "thinking_blocks":
		return f.thought(p, c, thinkingBlocks)
	case "thinking", "thought", "thoughts":
		return f.thought(p, c, thinking)
	case "tool_calls", "function_call":
		some, ok := p.holds(0)
		f.tools = f.tools || some
		return ok
	case "audio":
		return f.audio(p, c)
	case "error":
		return f.failure(p, key)
	default:
		return f.output(p, key)
	}
}

// output reads a member that may be of a kind that cannot be kept, or name sources.
func (f *frame) output(p *parser, key []byte) bool {
	kind := omitted(0)
	switch string(key) {
	case "images", "image", "image_url", "b64_json", "inline_data", "inlineData":
		kind = omittedImage
	case "video", "videos", "video_url", "files", "file":
		kind = omittedOther
	case "input_audio", "audio_url":
		kind = omittedAudio
	default:
		return f.source(p, key)
	}
	some, ok := p.holds(0)
	if some {
		f.omitted |= kind
	}
	return ok
}

// audio reads speech. What is said in it is text.
func (f *frame) audio(p *parser, c *carrier) bool {
	if p.peek() != '{' {
		some, ok := p.holds(0)
		if some {
			f.omitted |= omittedAudio
		}
		return ok
	}
	return p.object(f, func(key []byte) (ok bool) {
		switch string(key) {
		case "transcript":
			c.text, ok = p.text(c.text)
			return ok
		case "data":
			some, ok := p.holds(0)
			if some {
				f.omitted |= omittedAudio
			}
			return ok
		default:
			return p.skip(0)
		}
	})
}

// part reads one part of a content array: text, or thinking, as Mistral's reasoning models
// send, or something that cannot be kept.
func (f *frame) part(p *parser, c *carrier) (ok bool) {
	if p.peek() != '{' {
		c.text, ok = p.text(c.text)
		return ok
	}
	start, kind, thought, before := len(c.text), f.scratch[:0], false, f.omitted
	read := false // It has a member that is known.
	ok = p.object(f, func(key []byte) (ok bool) {
		switch string(key) {
		case "type":
			kind, ok = p.text(kind[:0])
			return ok
		case "text", "refusal", "content", "output_text":
			read = true
			if p.peek() == '{' {
				return f.inside(p, func(key []byte) (ok bool) {
					if string(key) != "value" {
						return p.skip(0)
					}
					c.text, ok = p.text(c.text)
					return ok
				})
			}
			c.text, ok = p.text(c.text)
			return ok
		case "thinking", "reasoning", "summary":
			read = true
			return f.thought(p, c, thinkingPart)
		case "thought":
			thought, ok = p.holds(0)
			return ok
		default:
			return f.output(p, key)
		}
	})
	f.scratch = kind
	switch {
	case thought, bytes.HasPrefix(kind, []byte("reason")), bytes.HasPrefix(kind, []byte("think")):
		text := c.text[start:]
		f.reason(c, thinkingPart, func() bool { c.reasoning = append(c.reasoning, text...); return true })
		c.text = c.text[:start]
	case bytes.Contains(kind, []byte("tool")), bytes.Contains(kind, []byte("function")):
		f.tools = true
	case !read && f.omitted == before:
		f.omitted |= kindOf(kind)
	}
	return ok
}

// kindOf is what a part is that holds no text.
func kindOf(kind []byte) omitted {
	switch {
	case len(kind) == 0:
		return 0
	case bytes.Contains(kind, []byte("image")):
		return omittedImage
	case bytes.Contains(kind, []byte("audio")):
		return omittedAudio
	default:
		return omittedOther
	}
}

// thought reads a member that carries reasoning: text, or objects and arrays that hold it. What
// is encrypted is none.
func (f *frame) thought(p *parser, c *carrier, by thinker) bool {
	return f.reason(c, by, func() bool { return f.thoughts(p, c, 0) })
}

// reason reads reasoning, and takes it back if another member carries it already: servers
// repeat it under several names, some of them later.
func (f *frame) reason(c *carrier, by thinker, read func() bool) bool {
	n := len(c.reasoning)
	ok := read()
	switch {
	case len(c.reasoning) == n:
	case f.thinks == nobodyThinks:
		f.thinks = by
	case f.thinks != by:
		c.reasoning = c.reasoning[:n]
	}
	return ok
}

func (f *frame) thoughts(p *parser, c *carrier, depth int) (ok bool) {
	if depth > maxNesting {
		return false
	}
	switch p.peek() {
	case '"':
		c.reasoning, ok = p.text(c.reasoning)
		return ok
	case '[':
		return p.array(func() bool { return f.thoughts(p, c, depth+1) })
	case '{':
		return p.object(f, func(key []byte) bool {
			switch string(key) {
			case "text", "summary", "thinking", "content", "reasoning":
				return f.thoughts(p, c, depth+1)
			}
			return p.skip(0)
		})
	default:
		return p.skip(0)
	}
}
