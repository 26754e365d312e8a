package upstream

import "parley/internal/reply"

// The numbers that a server may count.
const (
	countPrompt = iota
	countCompletion
	countTotal
	countCached
	countWritten
	countReasoning
	countedNumbers
)

// mostCounted is more than any model reads: what is counted, and its sum, fits into an Int of
// GraphQL.
const mostCounted = 1_000_000_000

// counts is what a server has counted, in whatever spelling. What it has not told is not 0.
type counts struct {
	n    [countedNumbers]int
	told uint8 // bits, by number
	// input and apart: the spelling is Anthropic's, whose input leaves the cached tokens out.
	input, apart bool
}

func (c *counts) has(i int) bool { return c.told&(1<<i) != 0 }

// any reports whether something was counted. A frame of zeros has not counted yet.
func (c *counts) any() bool { return c.n[countPrompt]+c.n[countCompletion] > 0 }

// read reads a member of a usage, with what is nested in it.
func (c *counts) read(p *parser, key []byte) bool {
	i := 0
	switch string(key) {
	case "prompt_tokens", "prompt_eval_count":
		i = countPrompt
	case "input_tokens":
		i, c.input = countPrompt, true
	case "completion_tokens", "output_tokens", "eval_count":
		i = countCompletion
	case "total_tokens":
		i = countTotal
	case "cached_tokens", "prompt_cache_hit_tokens", "cache_read_tokens":
		i = countCached
	case "cache_read_input_tokens":
		i, c.apart = countCached, true
	case "cache_write_tokens", "cache_creation_tokens":
		i = countWritten
	case "cache_creation_input_tokens":
		i, c.apart = countWritten, true
	case "reasoning_tokens":
		i = countReasoning
	default:
		return p.skip(0)
	}
	if c := p.peek(); c != '-' && (c < '0' || c > '9') {
		return p.skip(0) // Such as null: not told.
	}
	n := p.number()
	if n < 0 {
		return false
	}
	c.n[i] = max(c.n[i], n) // One number may have two names.
	c.told |= 1 << i
	return true
}

func (f *frame) readUsage(p *parser) bool {
	return f.inside(p, func(key []byte) bool {
		switch string(key) {
		case "prompt_tokens_details", "input_tokens_details", "completion_tokens_details", "output_tokens_details":
			apart := f.usage.apart
			ok := f.inside(p, func(key []byte) bool { return f.usage.read(p, key) })
			f.usage.apart = apart // What is said in details is part of the number.
			return ok
		}
		return f.usage.read(p, key)
	})
}

// take replaces what newer counts again. Some servers count in each frame, others say the
// parts in different ones.
func (c *counts) take(newer counts) {
	if !newer.any() {
		return
	}
	for i := range c.n {
		if newer.has(i) {
			c.n[i] = newer.n[i]
		}
	}
	c.told |= newer.told
	c.input, c.apart = c.input || newer.input, c.apart || newer.apart
}

// usage returns what was counted in the words of package reply, nil when nothing was.
func (c *counts) usage() *reply.Usage {
	if !c.any() {
		return nil
	}
	prompt, completion, total := c.n[countPrompt], c.n[countCompletion], c.n[countTotal]
	if c.input && c.apart && total != prompt+completion {
		prompt += c.n[countCached] + c.n[countWritten]
	}
	reasoning, thought := c.n[countReasoning], c.has(countReasoning)
	switch more := total - prompt - completion; {
	case more > 0 && c.has(countPrompt):
		// Gemini and xAI count thoughts in the total only.
		completion += more
		if c.has(countCompletion) && reasoning == 0 {
			reasoning, thought = more, true
		}
	case !c.has(countTotal) && reasoning > completion:
		completion += reasoning // It cannot be a part of it.
	}
	prompt, completion = min(prompt, mostCounted), min(completion, mostCounted)
	u := &reply.Usage{PromptTokens: prompt, CompletionTokens: completion}
	tell := func(field **int, told bool, n, most int) {
		if told {
			n = min(n, most)
			*field = &n
		}
	}
	tell(&u.CachedTokens, c.has(countCached), c.n[countCached], prompt)
	tell(&u.CacheWriteTokens, c.has(countWritten), c.n[countWritten], prompt)
	tell(&u.ReasoningTokens, thought, reasoning, completion)
	return u
}
