package prompt

import (
	"sort"
	"strings"
)

// Plan is how much of a line may be sent.
type Plan struct {
	Policy Policy // Never "".
	Turns  int    // For LastN.
	// Limit is how many tokens a prompt and its reply may have together, and Budget what is left
	// of it for the prompt. 0: nobody knows, and no prompt is too long.
	Limit, Budget int
	// MaxBytes bounds the texts of a prompt; 0: nothing does.
	MaxBytes int
	// PerByte is how many tokens a byte makes where the line does not say; 0: as usual.
	PerByte float64
	// Model is whom it is for.
	Model string
	// Summary stands in for the older part of the line; nil: none does.
	Summary *Digest
	// Only sends nothing before the newest question.
	Only bool
	// reply is how many tokens the reply may have; 0: nothing is said.
	reply int
	// fresh fills the budget, wherever the window of the last reply began.
	fresh bool
}

const (
	// mostReserved is what is kept for a reply that has no maximum of its own, at most.
	mostReserved = 4096
	// tokensPerMessage is what a message costs beside its text.
	tokensPerMessage = 4
	// leastPerByte and mostPerByte bound what is believed of a count, and leastCounted is how
	// many bytes must have been counted.
	leastPerByte, mostPerByte = 0.15, 1.5
	leastCounted              = 256
)

// Over returns s, or, where it says nothing, what other says. A limit that only other has holds
// for both.
func (s Settings) Over(other Settings) Settings {
	if s.Policy == "" {
		s.Policy, s.Turns = other.Policy, other.Turns
	}
	if s.LimitTokens == 0 {
		s.LimitTokens = other.LimitTokens
	}
	return s
}

// Plan returns what may be sent to a model that can read limit tokens at once, 0 when nobody
// knows, for a reply that may have maxTokens, 0 when nothing is said. Without a policy a line
// is cut where a limit is known, and sent whole where none is.
func (s Settings) Plan(limit, maxTokens int) Plan {
	if s.LimitTokens > 0 && (limit == 0 || s.LimitTokens < limit) {
		limit = s.LimitTokens
	}
	p := Plan{Policy: s.Policy, Turns: max(s.Turns, 1), Limit: limit, Budget: budget(limit, maxTokens),
		reply: maxTokens}
	switch {
	case p.Policy == "" && limit > 0:
		p.Policy = Truncate
	case p.Policy == "":
		p.Policy = Full
	}
	return p
}

// Reserve is how much of a limit is kept free for a reply.
func Reserve(limit, maxTokens int) int {
	if limit == 0 {
		return maxTokens
	}
	return limit - limit/20 - budget(limit, maxTokens)
}

// budget is how many tokens of a limit are left for a prompt: never less than a quarter of it,
// or a small model would never answer. Estimates are wrong by a twentieth, easily.
func budget(limit, maxTokens int) int {
	if limit == 0 {
		return 0
	}
	reserve := maxTokens
	if reserve == 0 {
		reserve = min(mostReserved, limit/4)
	}
	return max(limit-reserve-limit/20, limit/4, 1)
}

// Fits reports whether texts of so many bytes fit into the budget of a plan, in so many
// messages. Where they do not, needed is about how many tokens the limit would have to be.
func (p Plan) Fits(bytes, messages int) (needed int, fits bool) {
	tokens := p.tokens(p.perByte(Line{}), bytes, messages)
	if p.Budget == 0 || tokens <= p.Budget {
		return 0, true
	}
	// A quarter of a limit is always there for the prompt.
	return sort.Search(4*tokens, func(limit int) bool { return budget(limit, p.reply) >= tokens }), false
}

// Bound returns how many bytes and tokens of a line are sent at most, which has so many.
func (p Plan) Bound(bytes, tokens int) (mostBytes, mostTokens int) {
	if p.Policy == Full {
		return bytes, tokens
	}
	if p.Budget > 0 {
		bytes = min(bytes, int(float64(p.Budget)/p.perByte(Line{})))
		tokens = min(tokens, p.Budget)
	}
	if p.MaxBytes > 0 {
		bytes = min(bytes, p.MaxBytes)
		tokens = min(tokens, Tokens(p.MaxBytes))
	}
	return bytes, tokens
}

// Alone returns a plan that sends nothing before the newest question.
func (p Plan) Alone() Plan {
	p.Only = true
	return p
}

// Less returns a plan for another try with a line of which a window was refused as too long:
// by the limit that the refusal named, 0 when it named none, or else the newest half. A window
// that is not smaller says that there is none.
func (p Plan) Less(w Window, named, maxTokens int) Plan {
	less := p
	less.Summary = nil
	if named > 0 {
		by := Settings{Policy: Truncate}.Plan(named, maxTokens)
		if by.Budget < w.Tokens {
			less.Policy, less.Limit, less.Budget = Truncate, by.Limit, by.Budget
			return less
		}
	}
	less.Policy, less.MaxBytes, less.fresh = Truncate, max(w.Bytes/2, 1), true
	return less
}

// PerByte says how many tokens a byte made in a prompt of so many messages, and false when
// that was too short to tell.
func PerByte(bytes, messages, tokens int) (float64, bool) {
	if bytes < leastCounted || tokens <= 0 {
		return 0, false
	}
	ratio := float64(tokens-tokensPerMessage*messages) / float64(bytes)
	return min(max(ratio, leastPerByte), mostPerByte), true
}

// perByte is how many tokens a byte makes: as the model server has counted on this line, else
// as with this model, else as usual.
func (p Plan) perByte(l Line) float64 {
	if ratio, ok := PerByte(l.Last.Bytes, l.Last.Count, l.Last.Tokens); ok {
		return ratio
	}
	if p.PerByte > 0 {
		return p.PerByte
	}
	return 1.0 / bytesPerToken
}

// Cuts reports whether the model of the plan has refused all of the line before: then it is sent
// less by any policy, and less need be read.
func (p Plan) Cuts(line Line) bool {
	l := line.Last
	return l.From > 0 && l.Cut != "" && l.Cut == strings.ReplaceAll(p.Model, "/", " ")
}
