package reply_test

import (
	"context"
	"runtime"
	"testing"
	"unsafe"
	"weak"

	"parley/ent/message"
	"parley/internal/reply"
	"parley/internal/store/storetest"
)

// How long the prompt is held while a reply comes is the upstream's affair: nobody else has it.
func TestThePromptBelongsToTheUpstream(t *testing.T) {
	t.Parallel()
	held := func(ctx context.Context, text weak.Pointer[byte]) bool {
		for ctx.Err() == nil && text.Value() != nil {
			runtime.GC()
		}
		return text.Value() != nil
	}
	b := newBundle(t, storetest.SQLite(t), reply.Config{}, script(
		func(ctx context.Context, req reply.Request, out reply.Output) (reply.Result, error) {
			ctx, cancel := context.WithTimeout(ctx, deadline/2)
			defer cancel()
			text := weak.Make(unsafe.StringData(req.Messages[0].Parts[0].Text))
			said := "gone"
			if held(ctx, text) {
				said = "held"
			}
			return reply.Result{FinishReason: reply.FinishStop}, out.Append(reply.Content, said)
		}))
	question := b.start("a question that is long enough for an allocation of its own")
	b.wants(question.ID, message.StatusCOMPLETED, "gone", "")
}
