package reply_test

import (
	"strings"
	"testing"

	"parley/ent/message"
	"parley/internal/reply"
	"parley/internal/store"
	"parley/internal/store/storetest"
)

// A reply knows how long its prompt was, and a prompt that has become too long since it was
// asked for is sent to nobody.
func TestPromptBytes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		b := newBundle(t, s, reply.Config{MaxPromptBytes: 100}, say("answer"))
		fits := b.start(strings.Repeat("x", 100))
		m := b.wants(fits.ID, message.StatusCOMPLETED, "answer", "")
		if m.PromptBytes == nil || *m.PromptBytes != 100 {
			t.Errorf("the reply says it was made from %v bytes, want 100", m.PromptBytes)
		}
		tooLong := b.start(strings.Repeat("x", 101))
		m = b.wants(tooLong.ID, message.StatusFAILED, "", reply.CodeContextTooLong)
		if m.PromptBytes != nil || m.PromptTokens != nil {
			t.Errorf("a reply that was not asked for says it was made from %v bytes and %v tokens, want neither",
				m.PromptBytes, m.PromptTokens)
		}
	})
}
