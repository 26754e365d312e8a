package reply

import (
	"context"

	"parley/internal/prompt"
)

// Upstream is a model server. It is safe for concurrent use.
type Upstream interface {
	// Generate runs the model once on req and writes the pieces of the reply to
	// out, in order, as they arrive. It blocks until the model has finished and
	// calls out only before it returns, from one goroutine.
	//
	// A nil error means that completion was proven: by a finish reason, by the end marker of
	// the protocol, or by a count of tokens behind the text and a clean end. A stream that just
	// ends is cut off, CodeTruncated; a reply of nothing, without a reason, is CodeProtocol.
	// Result holds whatever is known, also beside an error. When ctx ends,
	// Generate returns promptly with an error that wraps context.Cause(ctx). All
	// other errors are *Error. It repeats a failed call by itself, a few times,
	// while it has written nothing to out.
	Generate(ctx context.Context, req Request, out Output) (Result, error)
}

// Output takes the pieces of a reply. A piece is never empty, is valid UTF-8
// except that a rune may be split over two pieces, and holds no NUL.
type Output interface {
	// Append appends to one of the reply's texts. A non-nil error (the reply is over
	// its limit, or may not be written any more) must end Generate, which returns it.
	Append(c Channel, piece string) error
}

// Request is one call of a model.
type Request struct {
	Model string
	// Messages are what package prompt made of the visible line.
	Messages   []prompt.Message
	Parameters Parameters
	// Aside says that the call is not for a reply: it is made once, and says nothing about the
	// health of the model server, for or against replies.
	Aside bool
}

// FinishReason is why a model stopped.
type FinishReason string

// The finish reasons Parley stores. A reason it does not know is none.
const (
	FinishStop          FinishReason = "STOP"
	FinishLength        FinishReason = "LENGTH"
	FinishContentFilter FinishReason = "CONTENT_FILTER"
	FinishToolCalls     FinishReason = "TOOL_CALLS"
)

// OmittedOutput is a kind of output that Parley cannot keep.
type OmittedOutput string

// The kinds of output that are left out of a reply.
const (
	OmittedImage OmittedOutput = "IMAGE"
	OmittedAudio OmittedOutput = "AUDIO"
	OmittedOther OmittedOutput = "OTHER"
)

// Usage counts a call's tokens. Estimated says that the model server did not
// count and the numbers are a guess from the length of the text.
type Usage struct {
	PromptTokens     int
	CompletionTokens int
	CachedTokens     *int // Part of PromptTokens; nil when not told.
	CacheWriteTokens *int // Part of PromptTokens; nil when not told.
	ReasoningTokens  *int // Part of CompletionTokens; nil when not told.
	Estimated        bool
}

// Result is what is known of a call beside its text.
type Result struct {
	FinishReason FinishReason // "" when the model did not say.
	Usage        *Usage       // nil when the model server did not count.
	Model        string       // the model the server says it ran; "" when it does not say.
	// Citations are the sources that the model names, in its order.
	Citations []Citation
	// Omitted are the kinds of output that could not be kept, each once.
	Omitted []OmittedOutput
	// Dropped are the parameters that were left out, since the model server refuses to know
	// them, in the spelling of ParametersInput.
	Dropped []string
}

// Windows says how much of a conversation each model can read at once. It asks nobody, and
// is safe for concurrent use.
type Windows interface {
	// ContextTokens returns the most tokens that a prompt and its reply may have together,
	// and false when nobody has said.
	ContextTokens(model string) (tokens int, known bool)
}
