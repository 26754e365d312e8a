package prompt

// bytesPerToken is about right for English text. Every model has a tokenizer of its
// own, and most are not public.
const bytesPerToken = 4

// Tokens estimates how many tokens a text of so many bytes makes.
func Tokens(bytes int) int { return (bytes + bytesPerToken - 1) / bytesPerToken }

// Size is how many bytes the texts of a prompt have.
func Size(messages []Message) int {
	bytes := 0
	for _, m := range messages {
		bytes += m.size()
	}
	return bytes
}

// Estimate estimates how many tokens a prompt makes: 0 when there is nothing in it.
func Estimate(messages []Message) int { return Tokens(Size(messages)) }
