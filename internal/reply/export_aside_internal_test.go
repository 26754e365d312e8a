package reply

import "parley/ent"

// SummarizeAfter is what follows the end of a reply.
func (e *Engine) SummarizeAfter(final *ent.Message, budget int) { e.summarizeAfter(final, budget) }
