package chat_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"parley/ent/message"
	"parley/internal/chat"
	"parley/internal/pid"
	"parley/internal/upstream/upstreamtest"
)

const (
	// stickyMost is how many characters a strict model server reads.
	stickyMost = 2000
	// stickySequences is how many conversations a test draws, and stickyTurns how long they are.
	stickySequences, stickyTurns = 30, 8
)

// sticky is a model server that refuses a prompt that holds a word, has a blank message, is too
// long, or is none that a chat template takes. It answers what the last line of it asks for:
// nothing to be seen, a text that is cut off, or else what it still knows.
func sticky(c *upstreamtest.Call) {
	length, role := 0, "assistant"
	for _, m := range c.Request.Messages {
		if m.Role == role {
			upstreamtest.Fail(400, "roles must take turns")(c)
			return
		}
		role = m.Role
		length += len(m.Content)
		switch {
		case strings.Contains(m.Content, "flagged"):
			upstreamtest.Fail(400, "content_filter")(c)
			return
		case strings.TrimSpace(m.Content) == "":
			upstreamtest.Fail(400, "text must not be blank")(c)
			return
		}
	}
	if length > stickyMost {
		upstreamtest.Fail(400, "context_length_exceeded")(c)
		return
	}
	asked := c.Request.LastUser()
	switch asked[strings.LastIndex(asked, "\n")+1:] {
	case "white":
		c.Text("\n\n")
	case "cut":
		c.Text("half of it")
		c.Cut()
	case "down":
		upstreamtest.Fail(500, "down")(c)
		return
	default:
		c.Text(knows(c.Request.Messages))
	}
	c.End()
}

// knows says which of the numbered questions stand in a prompt, and whether half a reply does.
func knows(messages []upstreamtest.Message) string {
	known := "I know"
	for _, m := range messages {
		for line := range strings.Lines(m.Content) {
			if n, ok := strings.CutPrefix(strings.TrimSpace(line), "number "); ok {
				known += " " + n
			}
		}
		if m.Role == "assistant" && strings.Contains(m.Content, "half of it") {
			known += " half"
		}
	}
	return known
}

// Whatever has happened in a conversation, the next message is answered, and knows what was
// answered before and the half of a reply that was cut off, as long as it fits.
func TestAnyHistoryIsAnswered(t *testing.T) {
	t.Parallel()
	each(t, wide, func(t *testing.T, b *bundle) {
		b.upstream.Always(sticky)
		u := b.user(t)
		var all sync.WaitGroup
		for seed := range uint64(stickySequences) {
			all.Go(func() { b.stickySequence(t, u, seed) })
		}
		all.Wait()
	})
}

func (b *bundle) stickySequence(t *testing.T, u person, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 12))
	kinds := []string{"number", "flagged", "long", "white", "cut", "down", "wide"}
	var conversation *pid.ID
	var story []string
	say := func(text string) (content string, status message.Status) {
		r, err := b.SendMessage(u.ctx, u.id, chat.SendInput{ConversationID: conversation, Content: text, Wait: true})
		if err != nil {
			t.Errorf("sequence %d: %v after %v", seed, err, story)
			return "", ""
		}
		conversation = &r.Conversation.ID
		return r.Reply.Content, r.Reply.Status
	}
	// What any later prompt holds, until something has to be left out.
	number, memory, roomy := 0, "I know", true
	for range stickyTurns {
		kind := kinds[random.IntN(len(kinds))]
		story = append(story, kind)
		switch kind {
		case "long":
			say(strings.Repeat("x", stickyMost+1))
		case "wide": // Fits by itself, and before long pushes others out.
			roomy = false
			if _, status := say(strings.Repeat("y", stickyMost/3)); status != message.StatusCOMPLETED {
				t.Errorf("sequence %d: %s after %v", seed, status, story)
			}
		case "cut":
			if _, status := say(kind); status != message.StatusFAILED {
				t.Errorf("sequence %d: %s, want it cut, after %v", seed, status, story)
			}
			memory += " half"
		case "number":
			number++
			memory += fmt.Sprint(" ", number)
			content, status := say(fmt.Sprint("number ", number))
			if status != message.StatusCOMPLETED || roomy && content != memory ||
				!strings.HasSuffix(content, fmt.Sprint(" ", number)) {
				t.Errorf("sequence %d: got %s %q, want %q, after %v", seed, status, content, memory, story)
				return
			}
		default:
			say(kind)
		}
	}
	if content, status := say("number 0"); status != message.StatusCOMPLETED || !strings.HasSuffix(content, " 0") {
		t.Errorf("sequence %d: got %s %q at the end of %v", seed, status, content, story)
	}
}
