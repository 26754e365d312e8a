package chat_test

import (
	"testing"
	"time"

	"parley/internal/chat"
)

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	good := chat.Config{WaitLimit: time.Second, MaxRunning: 1, MaxReplies: 1, MaxBacklog: time.Second,
		MaxMessageBytes: 1 << 10, MaxSystemBytes: 2 << 10, MaxPromptBytes: 1 << 20}
	if err := good.Validate(); err != nil {
		t.Errorf("got %v without limits on sends and tokens, want nil", err)
	}
	for name, change := range map[string]func(*chat.Config){
		"no wait limit":       func(c *chat.Config) { c.WaitLimit = 0 },
		"negative wait limit": func(c *chat.Config) { c.WaitLimit = -1 },
		"none may run":        func(c *chat.Config) { c.MaxRunning = 0 },
		"none may run at all": func(c *chat.Config) { c.MaxReplies = 0 },
		"no system prompt":    func(c *chat.Config) { c.MaxSystemBytes = 0 },
		"no message":          func(c *chat.Config) { c.MaxMessageBytes = 0 },
		"no room in a prompt": func(c *chat.Config) { c.MaxPromptBytes = c.MaxSystemBytes },
		"no backlog":          func(c *chat.Config) { c.MaxBacklog = 0 },
		"negative running":    func(c *chat.Config) { c.MaxRunning = -1 },
		"negative sends":      func(c *chat.Config) { c.SendsPerMinute = -1 },
		"negative tokens":     func(c *chat.Config) { c.TokensPerDay = -1 },
	} {
		c := good
		change(&c)
		if c.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := chat.New(c, nil, nil, nil, nil, nil); err == nil {
			t.Errorf("%s: New accepted it", name)
		}
	}
}
