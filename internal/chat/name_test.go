package chat_test

import (
	"strings"
	"testing"

	"parley/internal/chat"
	"parley/internal/refusal"
)

// What a person or a first message names a conversation, and what it is called then.
func TestNamesAreCleaned(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		for in, want := range map[string]string{
			" padded\t":                        "padded",
			"two\nlines":                       "two lines",
			"in\u202egpj.exe":                  "ingpj.exe",
			"\u200b\ufeffhidden ends\u2060":    "hidden ends",
			"\u200eשלום\u200f":                 "שלום",
			"bell\a and escape\x1b[31m":        "bell and escape[31m",
			"❤\ufe0f":                          "❤\ufe0f",
			"Bonjour\u00a0!":                   "Bonjour\u00a0!",
			strings.Repeat("क्षि", 50):         strings.Repeat("क्षि", 50),
			strings.Repeat("x", 200) + " \n  ": strings.Repeat("x", 200),
		} {
			c, err := b.CreateConversation(u.ctx, u.id, chat.NewConversation{Name: &in})
			if err != nil {
				t.Errorf("create %+q: %v", in, err)
				continue
			}
			if c.Name != want || c.NameSource != "USER" {
				t.Errorf("create %+q: got %+q (%s), want %+q", in, c.Name, c.NameSource, want)
			}
			c, err = b.CreateConversation(u.ctx, u.id, chat.NewConversation{})
			if err == nil {
				c, err = b.UpdateConversation(u.ctx, u.id, c.ID, chat.ConversationPatch{Name: &in})
			}
			if err != nil || c.Name != want || c.NameSource != "USER" {
				t.Errorf("update to %+q: got %v, %v, want %+q", in, c, err, want)
			}
		}
	})
}

func TestFirstMessagesNameBetweenGraphemes(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		// The limit is 60 characters of which the last is the ellipsis: 59 are left.
		for name, c := range map[string]struct{ in, want string }{
			"flag":       {strings.Repeat("x", 58) + "🇩🇪 and more", strings.Repeat("x", 58) + "…"},
			"family":     {strings.Repeat("x", 55) + "👨\u200d👩\u200d👧 and", strings.Repeat("x", 55) + "…"},
			"keycap":     {strings.Repeat("x", 57) + "1\ufe0f\u20e3 and", strings.Repeat("x", 57) + "…"},
			"Hindi":      {strings.Repeat("क्षि", 20), strings.Repeat("क्षि", 14) + "…"},
			"marks":      {strings.Repeat("x", 58) + "e\u0301\u0302 and", strings.Repeat("x", 58) + "…"},
			"selector":   {strings.Repeat("x", 58) + "❤\ufe0f and", strings.Repeat("x", 58) + "…"},
			"lone ZWJ":   {"\u200d\u200dhello", "hello"},
			"surrogate":  {"a\ufffdb", "a\ufffdb"},
			"turning":    {"\u202eolleh\u202c", "olleh"},
			"markup":     {"\n\n  # Title\n\n\ttext", "# Title text"},
			"very long":  {strings.Repeat("word ", 6000), strings.TrimSpace(strings.Repeat("word ", 12)[:59]) + "…"},
			"Zalgo":      {"z" + strings.Repeat("\u0351", 400), "…"},
			"white, far": {strings.Repeat(" ", 9000) + "here", "here"},
		} {
			r, err := b.SendMessage(u.ctx, u.id, chat.SendInput{Content: c.in, Wait: true})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got := r.Conversation.Name; got != c.want {
				t.Errorf("%s: got %+q, want %+q", name, got, c.want)
			}
			if r.UserMessage.Content != c.in {
				t.Errorf("%s: the message itself was changed to %+q", name, r.UserMessage.Content)
			}
			mine, empty := "mine", ""
			_, err = b.UpdateConversation(u.ctx, u.id, r.Conversation.ID, chat.ConversationPatch{Name: &mine})
			if err != nil {
				t.Fatal(err)
			}
			again, err := b.UpdateConversation(u.ctx, u.id, r.Conversation.ID, chat.ConversationPatch{Name: &empty})
			if err != nil || again.Name != c.want || again.NameSource != "PLACEHOLDER" {
				t.Errorf("%s: got %v, %v back, want %+q", name, again, err, c.want)
			}
		}
	})
}

func TestMessagesOfNothing(t *testing.T) {
	t.Parallel()
	each(t, chat.Config{}, func(t *testing.T, b *bundle) {
		u := b.user(t)
		for _, in := range []string{"", " \n", "\u200b", "\u202e\u2066", "\u3164", "\u2800\u00a0", "\ufeff"} {
			extras := b.unchanged(t, refusal.CodeBadUserInput, func() error {
				_, err := b.SendMessage(u.ctx, u.id, chat.SendInput{Content: in})
				return err
			})
			if got := fields(extras); got["content"] == "" {
				t.Errorf("%+q: got %v, want a problem with content", in, got)
			}
		}
	})
}
