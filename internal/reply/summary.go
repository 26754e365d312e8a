package reply

import "parley/internal/pid"

// Summary is what a model made of a line up to one of its messages. It stands in for them in
// later prompts.
type Summary struct {
	ID pid.ID
	// Reaches is the index of the last message it covers.
	Reaches int
	Content string
}
