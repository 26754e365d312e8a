package chat

import (
	"fmt"
	"slices"

	"parley/internal/prompt"
	"parley/internal/refusal"
)

// The limits of what may be said about a context.
const (
	MaxTurns         = 1000
	MinContextTokens = 256
	MaxContextTokens = 1 << 30
)

// ContextInput is what a user says about the context of a conversation. The zero value takes
// back what was said.
type ContextInput struct {
	// Policy is one of package prompt's.
	Policy      string
	Turns       *int
	LimitTokens *int
}

func (in *ContextInput) check(p refusal.Problems, field string) {
	if in == nil || *in == (ContextInput{}) {
		return
	}
	policy := prompt.Policy(in.Policy)
	if !slices.Contains(prompt.Policies(), policy) {
		p.Add(field+".policy", "is not known")
	}
	switch {
	case policy != prompt.LastN && in.Turns != nil:
		p.Add(field+".turns", "is for the policy LAST_N only")
	case policy == prompt.LastN && in.Turns == nil:
		p.Add(field+".turns", "is required with the policy LAST_N")
	case in.Turns != nil && (*in.Turns < 1 || *in.Turns > MaxTurns):
		p.Add(field+".turns", fmt.Sprintf("must be between 1 and %d", MaxTurns))
	}
	switch n := in.LimitTokens; {
	case n == nil:
	case policy == prompt.Full:
		p.Add(field+".limitTokens", "is not for the policy FULL, which keeps to no limit")
	case *n < MinContextTokens || *n > MaxContextTokens:
		p.Add(field+".limitTokens", fmt.Sprintf("must be between %d and %d", MinContextTokens, MaxContextTokens))
	}
}

// encode returns the settings as the row has them.
func (in *ContextInput) encode() string {
	s := prompt.Settings{Policy: prompt.Policy(in.Policy)}
	if in.Turns != nil {
		s.Turns = *in.Turns
	}
	if in.LimitTokens != nil {
		s.LimitTokens = *in.LimitTokens
	}
	return s.Encode()
}

// DecodeContext reads what a row has of what a user said. Of a row without, it is the zero
// value.
func DecodeContext(text string) (ContextInput, error) {
	s, err := prompt.DecodeSettings(text)
	in := ContextInput{Policy: string(s.Policy)}
	if s.Turns != 0 {
		in.Turns = &s.Turns
	}
	if s.LimitTokens != 0 {
		in.LimitTokens = &s.LimitTokens
	}
	return in, err
}
