package reply_test

import (
	"strings"
	"testing"

	"parley/internal/reply"
	"parley/internal/reply/replytest"
)

func TestConfigHasNoDefaults(t *testing.T) {
	t.Parallel()
	if err := replytest.Config(reply.Config{}).Validate(); err != nil {
		t.Errorf("a whole one is refused: %v", err)
	}
	err := reply.Config{Lease: -1}.Validate()
	for _, name := range []string{"Lease", "ReplyLimit", "MaxReplyBytes", "Checkpoint"} {
		if err == nil || !strings.Contains(err.Error(), name+" is ") {
			t.Errorf("%v, want it to name %s", err, name)
		}
	}
}
