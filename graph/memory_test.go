package graph_test

import (
	"bytes"
	"runtime/pprof"
	"strings"
	"testing"
)

// A feed waits where the transport asks for its next event, and nowhere else. The test is not
// parallel, so that nobody else has feeds.
func TestFeedsTakeNoGoroutine(t *testing.T) {
	b := onSQLite(t)
	ada := b.signUp("ada")
	s, model := b.start(ada, "")
	for range 10 {
		b.subscribe(ada, viewerDocument, nil).event(t)
		b.subscribe(ada, conversationDocument, vars{"id": s.conversation}).event(t)
		b.follow(ada, s.reply, "").event(t)
	}
	var stacks bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
		t.Fatal(err)
	}
	for stack := range strings.SplitSeq(stacks.String(), "\n\n") {
		for _, waiting := range []string{"feed.(*Feed).", "reply.(*Watcher)."} {
			if strings.Contains(stack, waiting) {
				t.Errorf("a feed has a goroutine:\n%s", stack)
			}
		}
	}
	model.finish(t, nil)
}
